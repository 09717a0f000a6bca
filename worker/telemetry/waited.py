"""Time waited, without that in which the process did not run: stopped by a signal, frozen, or asleep with its machine."""

import threading
import time

MOST_STEP_S = 5.0
"""What one step counts for at most: while the process runs, those of the loops that look take hardly longer."""


class Waited:
    """Adds up what goes by between two looks. Any thread may look; one must do so at every turn of its loop."""

    def __init__(self, most_step_s: float = MOST_STEP_S) -> None:
        self._most_step_s = most_step_s
        self._lock = threading.Lock()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Nothing was waited for."""
        with self._lock:
            self._looked_at = time.monotonic()
            self._seconds = 0.0

    def look(self) -> float:
        """Seconds waited by now."""
        with self._lock:
            now = time.monotonic()
            self._seconds += min(now - self._looked_at, self._most_step_s)
            self._looked_at = now
            return self._seconds
