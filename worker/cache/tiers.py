"""The cache as the pipeline sees it: memory first, then Redis, and never in the way."""

import time
from collections.abc import Iterable, Sequence
from typing import Self

import structlog

from worker.cache.connection import RedisConnection
from worker.cache.guard import Guard
from worker.cache.key import Namer
from worker.cache.memory import MemoryTier
from worker.cache.redis import STRAY_TIMEOUT_S, RedisReader
from worker.cache.value import Remembered, pack, unpack, unseal
from worker.cache.writer import CALL_TIMEOUT_S, RedisWriter
from worker.settings import CacheSettings, RedisSettings
from worker.telemetry import metrics

__all__ = ["Cache", "Remembered"]

log = structlog.get_logger(__name__)


class Cache:
    """Remembered answers by key. Nothing here raises, and an answer is either exactly what was put or missing.

    ``get_many`` belongs to one thread (prepare) and blocks for at most Redis's time budget; ``put_many`` may be called
    from another (classify) and does not block; ``key`` is callable from anywhere.
    """

    def __init__(
        self,
        namer: Namer,
        memory: MemoryTier,
        reader: RedisReader | None = None,
        writer: RedisWriter | None = None,
    ) -> None:
        """Without `reader` and `writer` there is only the in-process tier."""
        self.key = namer.key  # bound once: it is called for every record
        self._tag_key = namer.tag_key
        self._memory = memory
        self._reader = reader
        self._writer = writer
        self._memory_hits = metrics.CACHE_REQUESTS.labels("memory", "hit")
        self._redis_hits = metrics.CACHE_REQUESTS.labels("redis", "hit")
        self._misses = metrics.CACHE_REQUESTS.labels("none", "miss")

    @classmethod
    def from_settings(cls, redis: RedisSettings, cache: CacheSettings, *, identity: str) -> Self:
        """Start the tiers that are set. Connects later and in its own threads, so a Redis that is away delays nothing.

        Raises:
            UsageError: the URL of Redis is wrong.
        """
        namer = Namer(identity, cache.secret.get_secret_value().encode("utf-8"))
        memory = MemoryTier(cache.memory_entries)
        url = redis.url.get_secret_value() if redis.url else ""
        if not url:
            return cls(namer, memory)
        budget_s = redis.budget_ms / 1000
        reading = RedisConnection(url, max(STRAY_TIMEOUT_S, budget_s))
        writing = RedisConnection(url, CALL_TIMEOUT_S)
        guards = [
            Guard(side, failures=redis.breaker_failures, open_s=redis.breaker_open_s)
            for side in ("read", "write")
        ]
        return cls(
            namer,
            memory,
            RedisReader(reading, guards[0], budget_s),
            RedisWriter(
                writing, guards[1], namer.tag_key, ttl_s=redis.ttl_s, queue_entries=redis.write_queue
            ),
        )

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, Remembered]:
        """The answers that are known, by key. Memory first, then Redis for the rest in one MGET within the budget."""
        held = self._memory.get_many(keys)
        answers = {key: unpack(packed) for key, packed in held.items()}
        if held:
            self._memory_hits.inc(len(held))
        if len(held) < len(keys):
            self._look_further([key for key in dict.fromkeys(keys) if key not in held], answers)
        return answers

    def put_many(self, items: Iterable[tuple[bytes, Remembered]]) -> None:
        """Remember these: in memory now, in Redis soon. An answer that packing would change is not remembered."""
        packed = [(key, answer) for key, remembered in items if (answer := pack(remembered)) is not None]
        self._hold(packed)
        if self._writer is not None and packed:
            self._writer.put_many(packed)

    def close(self, timeout_s: float) -> None:
        """Write what still waits for Redis and end the threads. Blocks for at most about `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        if self._writer is not None:
            self._writer.close(timeout_s)
        if self._reader is not None:
            self._reader.close(max(0.1, deadline - time.monotonic()))

    def _hold(self, packed: Sequence[tuple[bytes, bytes]]) -> None:
        """Remember in this process."""
        self._memory.put_many(packed)
        metrics.CACHE_ENTRIES.set(len(self._memory))

    def _look_further(self, missing: list[bytes], answers: dict[bytes, Remembered]) -> None:
        """Ask Redis, add what it knows to `answers` and to the memory."""
        values = self._reader.get_many(missing) if self._reader is not None and missing else []
        found: list[tuple[bytes, bytes]] = []
        rejected = 0
        for key, value in zip(missing, values, strict=False):  # no values at all when Redis could not tell
            if value is None:
                continue
            packed = unseal(value, key, self._tag_key) if isinstance(value, bytes) else None
            if packed is None:
                rejected += 1
            else:
                found.append((key, packed))
                answers[key] = unpack(packed)
        self._hold(found)
        if found:
            self._redis_hits.inc(len(found))
        if len(missing) > len(found):
            self._misses.inc(len(missing) - len(found))
        if rejected:
            metrics.CACHE_VALUES_REJECTED.inc(rejected)
            log.warning("values in redis are not ours, treated as misses", rejected=rejected)
