"""`make setup`: done once, done again when the lock changes, and never believed when it was cut off.

A stand-in takes Python's place, so these run in a second; a real set-up is what made the environment of this run.
"""

import inspect
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker.cli.demo import demo

PROJECT = Path(__file__).resolve().parents[2]
STAND_IN = r"""#!/usr/bin/env bash
echo "$*" >> "$CALLS"
case "$*" in
  "-c "*) exit "${TOO_OLD:-0}" ;;
  "--version") echo "Python 3.10.0" ;;
  "-m venv "*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; printf '#!/bin/sh\necho tagline 9\n' > .venv/bin/tagline
               chmod +x .venv/bin/tagline ;;
esac
if [[ -n "${HOLD_AT:-}" && "$*" == *"$HOLD_AT"* ]]; then touch held; while [[ ! -e go ]]; do sleep 0.05; done; fi
if [[ -n "${FAIL_AT:-}" && "$*" == *"$FAIL_AT"* ]]; then exit 1; fi
if [[ -n "${KILL_AT:-}" && "$*" == *"$KILL_AT"* ]]; then kill -KILL $$; fi
if [[ -n "${INTERRUPT_AT:-}" && "$*" == *"$INTERRUPT_AT"* ]]; then trap '' INT; kill -INT $PPID; exit 1; fi
"""


INTERRUPTIBLE = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
"""Runs a command as a terminal would: what is started in the background ignores SIGINT, and so does all that it starts."""


class Project:
    """A copy of the Makefile beside a stand-in for Python that records how it was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Makefile", "pyproject.toml", "requirements.lock"):
            shutil.copy(PROJECT / name, folder)
        self.python = folder / "python"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)
        self.calls_file = folder / "calls"

    def make(self, target: str = "setup", **environment: str) -> subprocess.CompletedProcess[str]:
        self.calls_file.write_text("")
        making = self.begin(target, **environment)
        out, err = making.communicate()
        return subprocess.CompletedProcess(making.args, making.returncode, out, err)

    def begin(self, target: str = "setup", **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, "make", target],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHON": str(self.python),
                "CALLS": str(self.calls_file),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def installs(self) -> list[str]:
        return [line for line in self.calls_file.read_text().splitlines() if " install " in line]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_fresh_set_up_installs_the_lock_then_torch_then_tagline(project: Project) -> None:
    result = project.make()

    assert result.returncode == 0, result.stderr
    lock, torch, tagline = project.installs()
    assert "--require-hashes --no-deps -r requirements.lock" in lock
    assert "torch>=2.10" in torch
    assert "--no-deps --no-build-isolation --editable ." in tagline
    assert result.stdout.splitlines()[-1].startswith("==> ready: tagline 9")


def test_a_second_set_up_does_nothing_and_says_nothing(project: Project) -> None:
    project.make()
    result = project.make()

    assert (result.returncode, result.stdout, project.installs()) == (0, "", [])


@pytest.mark.parametrize("file", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_file_is_installed_again(project: Project, file: str) -> None:
    project.make()
    later = time.time() + 5
    os.utime(project.folder / file, (later, later))
    result = project.make()

    assert result.returncode == 0
    assert len(project.installs()) == 3
    assert "making" not in result.stdout, "the environment itself stays"


@pytest.mark.parametrize("step", ["requirements.lock", "torch>=", "--editable"])
def test_a_pip_that_fails_is_answered_with_a_hint_and_costs_nothing_that_was_made(
    project: Project, step: str
) -> None:
    failed = project.make(FAIL_AT=step)
    assert failed.returncode != 0
    assert "hint: pip says why above; check the network, the proxy" in failed.stderr
    assert not (project.folder / ".venv/.ready").exists()

    result = project.make()
    assert result.returncode == 0
    assert "starting over" not in result.stdout
    assert "making" not in result.stdout
    assert len(project.installs()) == 3


@pytest.mark.parametrize("step", ["requirements.lock", "torch>=", "--editable"])
@pytest.mark.parametrize("how", ["KILL_AT", "INTERRUPT_AT"])
def test_a_set_up_that_was_cut_off_is_started_over(project: Project, how: str, step: str) -> None:
    assert project.make(**{how: step}).returncode != 0
    assert not (project.folder / ".venv/.ready").exists()

    result = project.make()
    assert result.returncode == 0
    assert "starting over" in result.stdout
    assert len(project.installs()) == 3


def test_a_second_set_up_beside_one_that_runs_leaves_it_alone(project: Project) -> None:
    first = project.begin(HOLD_AT="torch>=")
    deadline = time.monotonic() + 30
    while not (project.folder / "held").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = project.make()
    (project.folder / "go").touch()
    _, said = first.communicate(timeout=30)

    assert second.returncode != 0
    assert f"error: another set-up of .venv is at work (process {first.pid})" in second.stderr
    assert project.installs()[0].endswith("--editable ."), "of the first: the second installed nothing"
    assert first.returncode == 0, said
    assert project.make().stdout == ""


def test_the_number_of_a_set_up_that_is_now_somebody_elses_is_no_set_up(project: Project) -> None:
    (project.folder / ".venv").mkdir()
    (project.folder / ".venv/.unfinished").write_text(f"{os.getpid()}\n")
    assert "starting over" in project.make().stdout


def test_another_python_for_an_environment_that_exists_is_told_what_comes_first(project: Project) -> None:
    project.make()
    other = project.folder / "python3.13"
    other.write_text("#!/bin/sh\necho Python 3.13.1\n")
    other.chmod(0o755)
    result = project.make(PYTHON=str(other))

    assert (result.returncode, project.installs()) == (0, [])
    assert result.stderr == (
        f"note: .venv exists and stays with Python 3.10.0; to have it made with {other}, `rm -rf .venv` first\n"
    )


def test_a_set_up_that_was_cut_off_while_making_the_environment_is_started_over(project: Project) -> None:
    assert project.make(FAIL_AT="-m venv").returncode != 0
    assert "starting over" in project.make().stdout


def test_a_python_that_is_too_old_is_said_plainly(project: Project) -> None:
    result = project.make(TOO_OLD="1")

    assert result.returncode != 0
    assert "error: tagline needs Python 3.11 or newer" in result.stderr
    assert "Python 3.10.0" in result.stderr
    assert "hint: PYTHON=" in result.stderr
    assert not (project.folder / ".venv").exists()


def test_plain_make_lists_the_targets_and_installs_nothing(project: Project) -> None:
    result = project.make("help")

    for target in ("setup", "demo", "test", "lint", "bench", "lock", "docs", "clean"):
        assert f"  make {target} " in result.stdout
    seconds = inspect.signature(demo).parameters["seconds"].default
    assert f"for {seconds:.0f} s" in result.stdout, "the demo ends by itself"
    assert project.installs() == []
