"""Processes that outlive us, and are never mistaken for others."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from worker.local import process
from worker.local.process import Started

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Started]:
    started = run(SLEEP, tmp_path)
    yield started
    process.kill(started)


def run(code: str, folder: Path) -> Started:
    output = folder / "out"
    started = process.start([sys.executable, "-c", code], output=output, environment=os.environ)
    while "up" not in output.read_text():
        assert process.is_alive(started)
    return started


def test_a_child_is_in_a_session_of_its_own_and_its_output_in_the_file(
    sleeper: Started, tmp_path: Path
) -> None:
    assert os.getsid(sleeper.pid) == sleeper.pid != os.getsid(0)
    assert (tmp_path / "out").read_text() == "up\n"
    assert {file.path for file in psutil.Process(sleeper.pid).open_files()} == {str(tmp_path / "out")}


def test_it_is_ended_by_asking_and_leaves_no_zombie(sleeper: Started) -> None:
    assert process.end(sleeper, patience_s=10)
    assert not process.is_alive(sleeper)
    assert not psutil.pid_exists(sleeper.pid)


def test_one_that_does_not_listen_is_forced(tmp_path: Path) -> None:
    deaf = run(DEAF, tmp_path)
    assert not process.end(deaf, patience_s=0.2)
    assert not process.is_alive(deaf)


def test_one_that_is_paused_is_alive_and_can_be_ended(sleeper: Started) -> None:
    process.send(sleeper, signal.SIGSTOP)
    assert process.is_alive(sleeper)
    assert process.end(sleeper, patience_s=10)


def test_another_process_with_the_same_pid_is_not_touched(sleeper: Started) -> None:
    """The pid was recorded before a restart of the machine, say, and now belongs to somebody else."""
    stale = replace(sleeper, after_boot_s=sleeper.after_boot_s - 100)
    assert not process.is_alive(stale)
    process.kill(stale)
    process.send(stale, signal.SIGKILL)
    assert process.end(stale, patience_s=0)
    assert process.is_alive(sleeper)


def test_a_process_that_never_was_is_not_alive() -> None:
    assert not process.is_alive(Started(2**22 + 1, 0.0))
