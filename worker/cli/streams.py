"""What every command shares of stdin, stdout and stderr."""

import sys
from contextlib import suppress


def say(line: str) -> None:
    """Tell on stderr how it goes on. Never raises: a terminal that is gone keeps nobody from cleaning up."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
