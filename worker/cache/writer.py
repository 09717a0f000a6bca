"""Writes to Redis behind the hot path: a bounded queue that drops, and a thread that stores."""

import random
import threading
import time
from collections import deque
from collections.abc import Sequence

from worker.cache.connection import CUT_AFTER_S, Command, RedisConnection, fault_of
from worker.cache.guard import Guard
from worker.cache.value import seal
from worker.telemetry import metrics

BATCH = 256
"""Entries in one pipeline: one round trip, and little to lose by one error."""
CALL_TIMEOUT_S = 1.0
"""Nobody waits for a write, so it may take longer than a read."""
JITTER = 0.1
"""Share of the expiry that is left to chance, so that what was written together does not expire together."""

Entry = tuple[bytes, bytes]
"""Key and packed answer."""


class RedisWriter:
    """``put_many`` never blocks and never raises; what does not fit is dropped and counted. Callable from any thread."""

    def __init__(
        self,
        connection: RedisConnection,
        guard: Guard,
        tag_key: bytes,
        *,
        ttl_s: int,
        queue_entries: int,
    ) -> None:
        self._connection = connection
        self._guard = guard
        self._tag_key = tag_key
        self._ttl_s = ttl_s
        self._limit = queue_entries
        self._waiting: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._busy = False
        self._taken_at = 0.0
        self._thread = threading.Thread(target=self._serve, name="tagline-cache-write", daemon=True)
        self._thread.start()

    def put_many(self, entries: Sequence[Entry]) -> None:
        """Store these later. The newest are dropped when the queue is full: the oldest are about to be written.

        Cuts off a call that goes on for too long.
        """
        with self._changed:
            if self._busy and time.monotonic() - self._taken_at > CUT_AFTER_S:
                self._connection.cut()
            fitting = entries[: max(0, self._limit - len(self._waiting))] if not self._closing else []
            self._waiting.extend(fitting)
            self._changed.notify_all()
        if len(fitting) < len(entries):
            metrics.CACHE_WRITES.labels("dropped").inc(len(entries) - len(fitting))

    def close(self, timeout_s: float) -> None:
        """Write what waits, for at most `timeout_s`, then end the thread. What is left is dropped and counted."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)
            left = len(self._waiting)
            self._waiting.clear()
        if left:
            metrics.CACHE_WRITES.labels("dropped").inc(left)
        self._connection.cut()
        self._thread.join(max(0.1, deadline - time.monotonic()))

    def _serve(self) -> None:
        while batch := self._take():
            self._write(batch)
            with self._changed:
                self._busy = False
                self._changed.notify_all()
        self._connection.close()

    def _take(self) -> list[Entry]:
        """The next entries to write; waits for some. Empty only when closing and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._busy, self._taken_at = bool(batch), time.monotonic()
            return batch

    def _write(self, batch: list[Entry]) -> None:
        if not self._guard.allows():
            metrics.CACHE_WRITES.labels("dropped").inc(len(batch))
            return
        try:
            answers = self._connection.call([self._command(key, packed) for key, packed in batch])
        except Exception as error:  # noqa: BLE001 - whatever goes wrong here may cost entries, never the worker
            answers = [error] * len(batch)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        if refused:
            self._guard.failed(*fault_of(refused[0]))
            metrics.CACHE_WRITES.labels("failed").inc(len(refused))
        else:
            self._guard.succeeded()
        if len(refused) < len(batch):
            metrics.CACHE_WRITES.labels("stored").inc(len(batch) - len(refused))

    def _command(self, key: bytes, packed: bytes) -> Command:
        expiry_s = max(1, round(self._ttl_s * (1 - JITTER * random.random())))
        return (b"SET", key, seal(packed, key, self._tag_key), b"EX", expiry_s)
