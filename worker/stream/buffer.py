"""Records read but not yet in a micro-batch, and the rule by which a window closes.

A pure structure with the clock given by the caller; owned by the consumer's thread.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from worker.stream.record import Partition, Record


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """When a window closes."""

    max_records: int
    max_bytes: int
    max_wait_s: float


@dataclass(slots=True)
class ReadBuffer:
    """Records in the order they were read, each with the monotonic time of the read and its size."""

    limits: WindowLimits
    size: int = 0
    _records: deque[tuple[float, int, Record]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Record, now: float) -> None:
        """Append a record read at monotonic time `now`."""
        size = record.size
        self._records.append((now, size, record))
        self.size += size

    def ready(self, now: float, *, idle: bool) -> bool:
        """Whether a window should close: one is full, its oldest record has waited long enough, or nobody is busy."""
        if not self._records:
            return False
        full = len(self._records) >= self.limits.max_records or self.size >= self.limits.max_bytes
        return full or idle or now - self._records[0][0] >= self.limits.max_wait_s

    @property
    def first(self) -> Record:
        """The record that was read first. Only when there is one."""
        return self._records[0][2]

    def cut(self, company: Callable[[Record], int] | None = None) -> tuple[list[Record], int]:
        """Take the next window off the front, at least one record, and its size in bytes.

        A record larger than `max_bytes` makes a window of its own. `company` says how many records may share one with a
        record (0: as many as ever), and only those of the same answer do.
        """
        _, size, first = self._records.popleft()
        records = [first]
        shared = 0 if company is None else company(first)
        most = min(shared or self.limits.max_records, self.limits.max_records)
        while self._records and len(records) < most:
            _, following, record = self._records[0]
            if size + following > self.limits.max_bytes or (
                company is not None and company(record) != shared
            ):
                break
            self._records.popleft()
            records.append(record)
            size += following
        self.size -= size
        return records, size

    def holds(self, partition: Partition) -> bool:
        """Whether a record of the partition waits here."""
        return any((record.topic, record.partition) == partition for _, _, record in self._records)

    def drop(self, partitions: frozenset[Partition] | None = None) -> int:
        """Forget the records of these partitions, or all; nothing of them was committed. Returns how many."""
        kept = deque(
            entry
            for entry in self._records
            if partitions is not None and (entry[2].topic, entry[2].partition) not in partitions
        )
        dropped = len(self._records) - len(kept)
        self._records = kept
        self.size = sum(size for _, size, _ in kept)
        return dropped
