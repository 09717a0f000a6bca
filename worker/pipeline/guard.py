"""The guard: ends the process if the owner's loop itself stops turning, which nobody else could notice from inside."""

import threading
import time

from worker.errors import ExitCode
from worker.pipeline.stop import end_at_once
from worker.stream.waited import Waited
from worker.telemetry.health import HealthState


class Guard:
    """Looks now and then whether the loop has turned. Its own sleep is the clock: a process that is stopped as a whole, or sleeps with
    its machine, has not stopped turning.
    """

    def __init__(self, health: HealthState, stuck_after_s: float) -> None:
        self._health = health
        self._limit_s = 2 * stuck_after_s
        self.interval_s = min(5.0, stuck_after_s / 4)
        """Time between two looks."""
        self._looked_at = time.monotonic()
        self._standing = Waited(self.interval_s)

    def start(self) -> None:
        """Look on from a thread, for as long as the process lives."""
        threading.Thread(target=self._watch, name="tagline-guard", daemon=True).start()

    def standing(self) -> bool:
        """One look: whether the loop has stood still for too long. Guard thread only."""
        now = time.monotonic()
        if self._health.seconds_since_turn() <= now - self._looked_at:
            self._standing.begin_anew()
        self._looked_at = now
        return self._standing.look() > self._limit_s

    def _watch(self) -> None:
        while True:
            time.sleep(self.interval_s)
            if self.standing():
                end_at_once(ExitCode.STUCK, "the consumer's loop has stopped turning")
