"""Streams that are gone: a closed terminal, a reader that went away."""

import errno
import io
import os
import sys

import pytest

from worker.cli.streams import console, reader_has_left, say


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
