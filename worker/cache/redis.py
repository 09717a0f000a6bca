"""Reads from Redis within a time budget that holds whatever the server, the network or the resolver do."""

import contextlib
import queue
import threading
import time
from collections.abc import Sequence

from worker.cache.connection import CUT_AFTER_S, RedisConnection, UnexpectedAnswerError, fault_of
from worker.cache.guard import Guard
from worker.telemetry import metrics

STRAY_TIMEOUT_S = 0.5
"""Each wait of the connection's own thread for bytes, and for connecting: after it, nobody waits for that answer any more,
but an answer that comes a little late leaves the connection usable."""


class _Request:
    """One MGET on its way. Filled in by the reader's thread, and read by the owner once `done` is set."""

    __slots__ = ("done", "error", "keys", "started", "values")

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.keys = keys
        self.started = time.monotonic()
        self.done = threading.Event()
        self.values: list[object] = []
        self.error: BaseException | None = None


class RedisReader:
    """``get_many`` never waits longer than the budget: the call itself is made by a thread of its own.

    Socket time-outs cannot promise that: they count each read anew and do not cover the look-up of a host's name. While
    that thread is held up, reads fail at once, and the breaker soon stops them. The owner is one thread (prepare).
    """

    def __init__(self, connection: RedisConnection, guard: Guard, budget_s: float) -> None:
        self._connection = connection
        self._guard = guard
        self._budget_s = budget_s
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._last: _Request | None = None
        self._thread = threading.Thread(target=self._serve, name="tagline-cache-read", daemon=True)
        self._thread.start()

    def get_many(self, keys: Sequence[bytes]) -> list[object]:
        """What Redis holds for each key, unchecked; an empty list when it cannot tell in time. Never raises."""
        started = time.monotonic()
        held_up = self._last if self._last is not None and not self._last.done.is_set() else None
        if held_up is not None and started - held_up.started > CUT_AFTER_S:
            self._connection.cut()  # while the breaker is open too: nothing else ends the call
        if not self._guard.allows():
            return []
        if held_up is not None:
            self._guard.failed("timeout", "no answer in time")
            return []
        request = self._last = _Request(keys)
        self._requests.put(request)
        in_time = request.done.wait(self._budget_s)
        metrics.REDIS_READ_SECONDS.observe(time.monotonic() - started)
        if not in_time:
            self._guard.failed("timeout", "no answer in time")
            return []
        if request.error is not None:
            self._guard.failed(*fault_of(request.error))
            return []
        self._guard.succeeded()
        return request.values

    def close(self, timeout_s: float) -> None:
        """End the thread, cutting off what it waits for. Blocks for at most `timeout_s`."""
        self._requests.put(None)
        self._connection.cut()
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        while (request := self._requests.get()) is not None:
            try:
                request.values = self._mget(request.keys)
            except Exception as error:  # noqa: BLE001 - whatever a server can make a parser raise is a miss
                request.error = error
            request.done.set()
        with contextlib.suppress(Exception):
            self._connection.close()

    def _mget(self, keys: Sequence[bytes]) -> list[object]:
        (answer,) = self._connection.call([(b"MGET", *keys)])
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, list) or len(answer) != len(keys):
            self._connection.close()
            raise UnexpectedAnswerError
        return answer
