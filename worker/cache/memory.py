"""The in-process tier: the most recently used texts, in memory that does not grow once it is full.

A dictionary in order of use (``OrderedDict``) was measured and dropped: the tables of a dictionary that is always added to
and taken from are laid out anew time and again, each time larger than before. With 100,000 texts it took 24 MB, then 33,
37 and 48 within a million more. This takes 4 MB and stays there, at the same speed.
"""

import threading
from collections.abc import Iterable, Sequence

from worker.cache.key import DIGEST_BYTES, KEY_BYTES
from worker.cache.value import ANSWER_BYTES

WAYS = 16
"""Texts in one set. More come closer to one order of use over all texts; their 464 bytes are still found in by one call."""
_ENTRY_BYTES = DIGEST_BYTES + ANSWER_BYTES


class MemoryTier:
    """Sets of 16 texts; within a set the least recently used goes first. Callable from any thread.

    The hash of a key chooses its set, which is one `bytes` object: the digest of a key and its packed answer, 16 times, most
    recently used first. All sets are of one size when full, so freed memory is used again at once, and the garbage
    collector has nothing to follow.

    One lock, taken once per call and thus once per micro-batch, never while anything waits: the prepare thread reads, the
    classify thread adds.
    """

    def __init__(self, entries: int) -> None:
        """Hold at most `entries` texts, rounded up to whole sets; 0 holds none."""
        self._sets = [b""] * -(-entries // WAYS)
        self._set_bytes = min(entries, WAYS) * _ENTRY_BYTES
        self._lock = threading.Lock()
        self._held_bytes = 0

    def __len__(self) -> int:
        return self._held_bytes // _ENTRY_BYTES

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Packed answers of those that are held, which become the most recently used of their sets."""
        found: dict[bytes, bytes] = {}
        sets = self._sets
        if not sets:
            return found
        count = len(sets)
        with self._lock:
            for key in keys:
                number = hash(key) % count
                held = sets[number]
                at = _find(held, key)
                if at >= 0:
                    end = at + _ENTRY_BYTES
                    found[key] = held[at + DIGEST_BYTES : end]
                    if at > 0:
                        sets[number] = held[at:end] + held[:at] + held[end:]
        return found

    def put_many(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Hold these too, and let go of the least recently used ones of the sets that are full."""
        sets = self._sets
        if not sets:
            return
        count, limit = len(sets), self._set_bytes
        with self._lock:
            for key, packed in items:
                if len(key) != KEY_BYTES or len(packed) != ANSWER_BYTES:
                    continue  # not ours to hold: it would be found at the wrong place
                number = hash(key) % count
                held = sets[number]
                at = _find(held, key)
                others = held if at < 0 else held[:at] + held[at + _ENTRY_BYTES :]
                sets[number] = now = (key[-DIGEST_BYTES:] + packed + others)[:limit]
                self._held_bytes += len(now) - len(held)


def _find(held: bytes, key: bytes) -> int:
    """Where the entry of `key` begins, or -1. A match across two entries is none."""
    if len(key) != KEY_BYTES:
        return -1
    digest = key[-DIGEST_BYTES:]
    at = held.find(digest)
    while at > 0 and at % _ENTRY_BYTES:
        at = held.find(digest, at + 1)
    return at
