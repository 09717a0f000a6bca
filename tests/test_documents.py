"""The documents stay true: links lead somewhere, tests that are named exist, commands that are shown are commands."""

import re
from pathlib import Path

import pytest

from worker.cli.commands import BUILT_IN

PROJECT = Path(__file__).resolve().parent.parent
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
COMMANDS = {source.name for source in BUILT_IN} | {"train"}


def named(page: Path) -> str:
    return str(page.relative_to(PROJECT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_to_a_heading_finds_it(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text("utf-8")):
        if "://" not in target:
            assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them: small letters, hyphens for spaces, no other punctuation."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_test_that_is_named_exists(page: Path) -> None:
    for file, test in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", page.read_text("utf-8")):
        path = PROJECT / file
        assert path.exists(), file
        assert not test or f"def {test}(" in path.read_text("utf-8"), f"{file}::{test}"


@pytest.mark.parametrize("page", [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"], ids=named)
def test_every_command_and_target_that_is_shown_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    for command in re.findall(r"^tagline ([a-z]+)|`tagline ([a-z]+)", text, re.MULTILINE):
        assert "".join(command) in COMMANDS, command
    for target in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", text, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target


def test_every_metric_that_is_shown_exists() -> None:
    known = set(
        re.findall(r"^\| `(tagline_\w+)`", (PROJECT / "docs/metrics.md").read_text("utf-8"), re.MULTILINE)
    )
    shown = set(re.findall(r"\btagline_\w+", (PROJECT / "docs/operating.md").read_text("utf-8")))
    assert shown
    assert shown <= known
