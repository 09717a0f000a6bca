"""What the outsider reads of processes and commands."""

import pytest

from tests.faults.fleet import Resources, grown
from tests.faults.stack import exported

BEFORE = Resources(descriptors=40, threads=20, resident_mb=600)


def test_a_process_that_holds_what_it_held_did_not_grow() -> None:
    assert grown(BEFORE, BEFORE) == []
    assert grown(BEFORE, Resources(44, 22, 700)) == []


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (Resources(60, 20, 600), "descriptors"),
        (Resources(40, 30, 600), "threads"),
        (Resources(40, 20, 1_200), "memory"),
    ],
)
def test_descriptors_threads_and_memory_that_grow_are_found(after: Resources, what: str) -> None:
    (found,) = grown(BEFORE, after)
    assert found.startswith(what)


def test_exported_variables_are_read_as_a_shell_would() -> None:
    text = "# comment\nexport A='x y'\nexport B=1\nexport C=redis://h:1/0?a=b\n"
    assert exported(text) == {"A": "x y", "B": "1", "C": "redis://h:1/0?a=b"}
