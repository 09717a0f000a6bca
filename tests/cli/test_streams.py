"""Streams that are gone: a closed terminal, a reader that went away."""

import errno
import io
import os
import sys

import pytest

from worker.cli.streams import say


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
