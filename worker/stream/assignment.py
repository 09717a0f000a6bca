"""Which partitions are ours, and since when: the epochs by which late work is recognised.

Every micro-batch remembers the epoch of each of its partitions. When a partition is revoked or lost its epoch moves on,
so whatever is still in flight for it is seen to be stale and is neither published nor committed.

Only the consumer's thread writes. Other threads read: each read is one dictionary look-up, atomic in CPython, and a
stale answer is only a duplicate with the same id (at least once) or a rejected commit (exactly once).
"""

from collections.abc import Iterable

from worker.stream.record import Partition


class Assignment:
    """The partitions owned now and the epoch of each partition ever owned."""

    def __init__(self) -> None:
        self._epochs: dict[Partition, int] = {}
        self._owned: dict[Partition, int] = {}
        """With the tenure of each."""
        self._first_offsets: dict[Partition, int] = {}
        self._next_offsets: dict[Partition, int] = {}
        self.changes = 0
        """How often partitions were taken on or given up."""

    @property
    def owned(self) -> frozenset[Partition]:
        """The partitions owned now."""
        return frozenset(self._owned)

    def owns(self, partition: Partition) -> bool:
        """Whether the partition is ours now."""
        return partition in self._owned

    def tenure(self, partition: Partition) -> int | None:
        """A number for the time for which the partition has been ours without a break; None when it is not ours. Any thread."""
        return self._owned.get(partition)

    def epoch(self, partition: Partition) -> int:
        """The epoch of a partition; 0 before it was ever ours."""
        return self._epochs.get(partition, 0)

    def add(self, partitions: Iterable[Partition]) -> None:
        """Take partitions on. Owner thread only."""
        self.changes += 1
        for partition in partitions:
            self._owned[partition] = self.changes
            self._epochs[partition] = self.epoch(partition) + 1

    def remove(self, partitions: Iterable[Partition]) -> None:
        """Give partitions up; what is in flight for them is stale from now on. Owner thread only."""
        self.changes += 1
        for partition in partitions:
            self._owned.pop(partition, None)
            self._first_offsets.pop(partition, None)
            self._next_offsets.pop(partition, None)
            self._epochs[partition] = self.epoch(partition) + 1

    def renew(self) -> None:
        """Make everything in flight stale while keeping the partitions (before a rewind). Owner thread only."""
        for partition in self._owned:
            self._epochs[partition] += 1

    def saw(self, partition: Partition, offset: int) -> None:
        """Remember what was read: the first offset since the partition became ours, and the last. Owner thread only."""
        self._first_offsets.setdefault(partition, offset)
        self._next_offsets[partition] = offset + 1

    def reads_from(self, partition: Partition, offset: int) -> None:
        """Remember where reading begins or goes on. Owner thread only."""
        self._next_offsets[partition] = offset

    def next_offset(self, partition: Partition) -> int | None:
        """The offset to be read next; None before anything was read of a partition that begins at its first record."""
        return self._next_offsets.get(partition)

    def first_offset(self, partition: Partition) -> int | None:
        """Where reading began: the place to rewind to when the group has no committed offset yet."""
        return self._first_offsets.get(partition)
