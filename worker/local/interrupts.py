"""Signals to a command that has started something: the first ends it in order, no later one disturbs its clean-up.

Both are for the main thread.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, `kill`, and a terminal that is closed."""


@contextmanager
def ended_by_a_signal() -> Iterator[None]:
    """Inside, each of the three raises ``KeyboardInterrupt``: the first one of all, those that follow it are ignored.

    A closed terminal sends its signal twice, and people press Ctrl-C again. What was ignored before (SIGHUP under nohup)
    stays so.
    """

    def interrupt(*_: object) -> NoReturn:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before: dict[signal.Signals, Any] = {
        number: handler for number in ENDING if (handler := signal.getsignal(number)) != signal.SIG_IGN
    }
    try:
        for number in before:
            signal.signal(number, interrupt)
        yield
    finally:
        _restore(before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, none of the three does anything: for the end of what would otherwise be left running."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        _restore(before)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
