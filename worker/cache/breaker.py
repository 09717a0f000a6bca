"""A circuit breaker: after failures in a row, leave the other side alone for a while. Pure but for its clock."""

import time
from collections.abc import Callable
from enum import IntEnum


class State(IntEnum):
    """The numbers are those of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Closed: calls pass. Open: none does, for `open_s`. Half open: one call passes and decides.

    Belongs to one thread, which answers every ``allows() == True`` by one ``succeeded()`` or ``failed()``.
    """

    def __init__(self, failures: int, open_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Open after `failures` in a row."""
        self._limit = failures
        self._open_s = open_s
        self._clock = clock
        self._failures = 0
        self._opened_at = 0.0
        self.state = State.CLOSED

    def allows(self) -> bool:
        """Whether a call may be made now."""
        if self.state is State.OPEN and self._clock() - self._opened_at >= self._open_s:
            self.state = State.HALF_OPEN
        return self.state is not State.OPEN

    def succeeded(self) -> None:
        """The call worked: close."""
        self._failures = 0
        self.state = State.CLOSED

    def failed(self) -> None:
        """The call did not work: open at once when it was a trial, else when there were enough in a row."""
        self._failures += 1
        if self.state is State.HALF_OPEN or self._failures >= self._limit:
            self.state = State.OPEN
            self._opened_at = self._clock()
