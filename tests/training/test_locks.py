"""Two trainings in one folder at once: the second is refused, and a killed one holds nothing."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.rows import make_rows
from training import processes
from training.cli import app
from training.data import write_rows
from training.locks import LOCK, locked
from worker.errors import UsageError

HOLD = """
import fcntl, sys
with open(sys.argv[1], "a") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _held(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds a folder, as :func:`locked` does, until it is killed."""
    folder.mkdir()
    command = [sys.executable, "-I", "-S", "-c", HOLD, str(folder / LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        try:
            yield other
        finally:
            other.kill()


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("command", ["finetune", "pretrain", "bundle", "distil"])
def test_a_second_training_in_a_folder_is_refused_and_a_killed_one_holds_nothing(
    base: Path, tmp_path: Path, teacher: Callable[[], Path], command: str
) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(240, seed=1))
    out = tmp_path / "run"
    start = ("--base", base) if command != "distil" else ("--teacher", teacher(), "--layers", "1,3")
    call = (command, tmp_path / "mine.jsonl", *start, "--out", out, "--epochs", 0.2, "--max-tokens", 32)
    with _held(out) as other:
        before = _files(out)
        with pytest.raises(UsageError, match="another process still writes to") as error:
            _run(*call)
        assert "wait" in str(error.value.hint)
        assert _files(out) == before
        other.kill()
        other.wait()
        _run(*call)
    assert (out / "run.json").is_file()


@pytest.fixture
def teacher(base: Path, tmp_path: Path) -> Callable[[], Path]:
    def train() -> Path:
        write_rows(tmp_path / "taught.jsonl", make_rows(40, seed=2))
        folder = tmp_path / "teacher"
        _run("finetune", tmp_path / "taught.jsonl", "--base", base, "--out", folder, "--epochs", 0.2)
        return folder

    return train


def test_of_processes_that_train_together_the_first_holds_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(tmp_path):
        monkeypatch.setattr(processes, "rank", lambda: 1)
        with locked(tmp_path):
            pass
        monkeypatch.setattr(processes, "rank", lambda: 0)
        with pytest.raises(UsageError, match="another process"), locked(tmp_path):
            pass
    with locked(tmp_path):
        pass
