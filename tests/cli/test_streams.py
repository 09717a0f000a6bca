"""Streams that are gone: a closed terminal, a reader that went away."""

import errno
import io
import os
import shlex
import subprocess
import sys

import pytest

from worker import __version__
from worker.cli.streams import console, prepare, reader_has_left, say
from worker.errors import ExitCode


class Gone(io.StringIO):
    """A stream whose other end is gone."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def write(self, _text: str) -> int:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, os.strerror(errno.EIO)),
        BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)),
        ValueError("I/O operation on closed file."),
    ],
)
def test_what_nobody_can_read_any_more_is_not_said_and_stops_nothing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Gone(error))
    say("stopping Kafka")


def test_a_table_that_nobody_reads_any_more_is_a_broken_pipe_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rich's own answer to it is to end the process with exit code 1."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        screen = console()
        assert not reader_has_left(stdout)
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            screen.print("fed 40 events")
        assert reader_has_left(stdout)
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())  # closing it flushes


@pytest.mark.parametrize(
    ("command", "code", "shown"),
    [
        ("config show <&- >/dev/null", ExitCode.OK, ""),
        ("classify --help <&- >&-", ExitCode.OK, ""),
        ("nonsense 2>&-", ExitCode.USAGE, ""),
        ("--version <&- 2>&-", ExitCode.OK, f"tagline {__version__}\n"),
    ],
)
def test_closed_streams_are_as_good_as_empty_ones(command: str, code: int, shown: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"exec {shlex.quote(sys.executable)} -m worker.cli {command}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, shown, "")


def test_closed_stdin_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    prepare()
    assert sys.stdin.buffer.read() == b""
    sys.stdin.close()
