"""What keeps a log readable under attack and under failure: printable text, and a limit on repetition. Pure but for a clock."""

import re
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from worker.characters import UNPRINTABLE

# Whatever could break a line, turn a terminal's colours or the direction of text, or hide a part of it.
_UNPRINTABLE = re.compile(f"[{UNPRINTABLE}]+")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Terminal control sequences, dropped whole."""

REPEATS = 5
"""Times that the same warning or error is written in one period; the first ones tell the story."""
PERIOD_S = 10.0
_REMEMBERED = 1_000
"""Different events that are counted at once; beyond that the counts start anew."""


def printable(text: str, limit: int) -> str:
    """`text` on one line, without characters that are not visible, at most `limit` characters and an ellipsis."""
    cut = text[: 4 * limit]  # bounded work on unbounded text
    clean = _UNPRINTABLE.sub(" ", _ESCAPES.sub("", cut))
    return clean if len(clean) <= limit and len(cut) == len(text) else clean[:limit] + "..."


class RateLimit:
    """structlog processor: drops a warning or error that repeats too often, and says later how many it dropped.

    Events are the same when their text (for bridged libraries, their text but for its numbers) is: the fields may differ.
    Callable from any thread.
    """

    def __init__(
        self, repeats: int = REPEATS, period_s: float = PERIOD_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._repeats = repeats
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, int]] = {}

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Pass the event on, or raise ``structlog.DropEvent``."""
        same = str(event.pop("rate_key", event.get("event")))
        if event.get("level") not in {"warning", "error", "critical"}:
            return event
        now = self._clock()
        with self._lock:
            since, count = self._seen.get(same, (now, 0))
            if now - since >= self._period_s:
                if count > self._repeats:
                    event["suppressed"] = count - self._repeats
                since, count = now, 0
            if len(self._seen) >= _REMEMBERED and same not in self._seen:
                self._seen.clear()
            self._seen[same] = (since, count + 1)
        if count >= self._repeats:
            raise structlog.DropEvent
        return event
