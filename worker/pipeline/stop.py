"""Signals to a running worker: the first asks it to drain, the second cuts it short."""

import contextlib
import os
import signal
import sys
import threading
from types import FrameType

from worker.errors import ExitCode

MARGIN_S = 10.0
"""On top of the drain time-out, for closing clients whose broker is away, before the process is ended by force."""


class StopSignal:
    """SIGTERM and SIGINT, seen by the owner's loop between two polls. Install on the main thread."""

    def __init__(self, drain_timeout_s: float) -> None:
        self._limit_s = drain_timeout_s + MARGIN_S
        self._asked = threading.Event()

    def install(self) -> None:
        """Take the two signals over."""
        signal.signal(signal.SIGTERM, self._receive)
        signal.signal(signal.SIGINT, self._receive)

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Ask for a stop; from now on the process ends by force if the drain takes too long."""
        if self._asked.is_set():
            return
        self._asked.set()
        deadline = threading.Timer(
            self._limit_s, end_at_once, (ExitCode.DRAIN, "the drain did not end in time")
        )
        deadline.daemon = True
        deadline.start()

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked.is_set():
            end_at_once(ExitCode.KILLED, "second signal")
        self.ask()


def end_at_once(code: ExitCode, why: str) -> None:
    """End the process without cleaning up: nothing uncommitted is lost, it is read again."""
    with contextlib.suppress(OSError, ValueError):  # whoever read our log may be gone
        sys.stderr.write(f"tagline: ended at once: {why}\n")
        sys.stderr.flush()
    os._exit(code)
