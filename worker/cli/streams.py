"""What every command shares of stdin, stdout and stderr."""

import errno
import io
import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def prepare() -> None:
    """Make the three usable, whatever the caller left of them. Call it first: before a file of ours takes a free number."""
    _open_closed_ones()
    # In a locale that lacks some characters (GBK has no emoji) they are shown as question marks, not as a crash.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")


def _open_closed_ones() -> None:
    """A stream that was closed (``2>&-``) reads nothing and swallows what is written, for us and for our children."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nothing = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - for good
            os.set_inheritable(
                nothing.fileno(), True
            )  # it has the lowest free number, which is the stream's own
            setattr(sys, name, nothing)


def say(line: str) -> None:
    """Tell on stderr how it goes on. Never raises: a terminal that is gone keeps nobody from cleaning up."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def console(width_in_files: int | None = None) -> "Console":
    """Rich's console on stdout. A reader that left is a ``BrokenPipeError`` to it as to every other output."""
    from rich.console import Console

    class OurConsole(Console):
        def on_broken_pipe(self) -> NoReturn:
            """Rich's own ends the process with exit code 1."""
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    return OurConsole(width=None if sys.stdout.isatty() else width_in_files)


def reader_has_left(stream: TextIO) -> bool:
    """Whether the other end of a pipe is closed: a broken pipe may also be another one, to a server."""
    try:
        poller = select.poll()
        poller.register(stream, 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poller.poll(0))
    except (OSError, ValueError):
        return False


def discard_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain about the closed pipe."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = sys.__stdout__
