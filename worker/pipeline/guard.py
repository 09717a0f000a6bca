"""The guard: ends the process if the owner's loop itself stops turning, which nobody else could notice from inside."""

import threading
import time

from worker.errors import ExitCode
from worker.pipeline.stop import end_at_once
from worker.telemetry.health import HealthState


class Guard:
    """Looks now and then whether the loop has turned, by a clock that its looks keep going: that of the health state, which
    leaves out the time in which the process was stopped as a whole.
    """

    def __init__(self, health: HealthState, stuck_after_s: float) -> None:
        self._health = health
        self._limit_s = 2 * stuck_after_s

    def start(self) -> None:
        """Look on from a thread, for as long as the process lives."""
        threading.Thread(target=self._watch, name="tagline-guard", daemon=True).start()

    def standing(self) -> bool:
        """One look: whether the loop has stood still for too long."""
        return self._health.seconds_since_turn() > self._limit_s

    def _watch(self) -> None:
        while True:
            time.sleep(self._health.interval_s)
            if self.standing():
                end_at_once(ExitCode.STUCK, "the consumer's loop has stopped turning")
