"""What long work is at, on standard error: standard output is for results."""

import sys


def say(line: str) -> None:
    """At once, also into a pipe. Nothing where the line is empty."""
    if line:
        print(line, file=sys.stderr, flush=True)


def say_stage(what: str) -> None:
    """The beginning of something that takes a while."""
    say(f"==> {what}")
