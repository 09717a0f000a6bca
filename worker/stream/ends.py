"""Ends of partitions that lie behind their last record.

A transaction leaves a marker behind its records, which takes up an offset and is never delivered. Where a producer of the
inputs writes in transactions (`tagline dlq redrive` does), the offset behind the last record is thus not the end of the
partition: its lag would never be zero, and once retention has deleted the record and the marker, the committed offset would
be out of range. So when the client says that a partition's end is reached, that end travels down the line with a micro-batch
behind all that was read before it, and is committed as the records' offsets are: in their order, and rolled back with them.
"""

from collections.abc import Callable, Iterable

from worker.stream.record import Partition


class Ends:
    """The ends that wait until what was read before them has gone into micro-batches. Owner thread only."""

    def __init__(self) -> None:
        self._waiting: dict[Partition, int] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def reached(self, partition: Partition, end: int, next_offset: int | None) -> None:
        """The client has delivered all before ``end``. ``next_offset`` is the one behind the last record, None if none is
        known.
        """
        if next_offset is not None and end > next_offset:
            self._waiting[partition] = end

    def forget(self, partition: Partition) -> None:
        """More was read of this one: its end lies further on."""
        self._waiting.pop(partition, None)

    def forget_all(self) -> None:
        """Everything is read again, or nothing more is read."""
        self._waiting.clear()

    def give_up(self, partitions: Iterable[Partition]) -> None:
        """These are not ours any more."""
        for partition in partitions:
            self.forget(partition)

    def take(self, held: Callable[[Partition], bool]) -> dict[Partition, int]:
        """The ends of partitions of which no record is held back any more; they wait no longer."""
        free = {partition: end for partition, end in self._waiting.items() if not held(partition)}
        for partition in free:
            self.forget(partition)
        return free
