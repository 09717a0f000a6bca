"""Ends of partitions that lie behind their last record.

A transaction leaves a marker behind its records, which takes up an offset and is never delivered. Where a producer of the inputs writes
in transactions (`tagline dlq redrive` does), the offset behind the last record is thus not the end of the partition: its lag would
never be zero, and once retention has deleted the record and the marker, the committed offset would be out of range. So when the
client says that a partition's end is reached, that end travels down the line with a micro-batch behind all that was read before it,
and is committed as the records' offsets are: in their order, and rolled back with them.

Where reading begins at the latest end, behind records that are skipped on purpose, that place is committed too, before anything that is
read behind it: were it looked up again at the next assignment, what was written in between would be skipped as well.
"""

from collections.abc import Callable, Iterable

from worker.stream.record import Partition


class Ends:
    """The ends that wait until what was read before them has gone into micro-batches, and the beginnings that wait for room.
    Owner thread only.
    """

    def __init__(self) -> None:
        self._waiting: dict[Partition, int] = {}
        self._begun: dict[Partition, int] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def reached(self, partition: Partition, end: int, next_offset: int | None) -> None:
        """The client has delivered all before ``end``. ``next_offset`` is the one behind the last record, None if none is known."""
        if next_offset is not None and end > next_offset:
            self._waiting[partition] = end

    def begins(self, partition: Partition, place: int) -> None:
        """Reading begins here, and the group may know nothing of it. Whatever is read meanwhile, this waits."""
        self._begun[partition] = place

    @property
    def begun(self) -> bool:
        """Whether beginnings wait: no record may go before them."""
        return bool(self._begun)

    def forget(self, partition: Partition) -> None:
        """More was read of this one: its end lies further on."""
        self._waiting.pop(partition, None)

    def forget_all(self) -> None:
        """Everything is read again, or nothing more is read."""
        self._waiting.clear()

    def give_up(self, partitions: Iterable[Partition]) -> None:
        """These are not ours any more."""
        for partition in partitions:
            self._waiting.pop(partition, None)
            self._begun.pop(partition, None)

    def take_begun(self) -> dict[Partition, int]:
        """The beginnings; they wait no longer."""
        begun, self._begun = self._begun, {}
        return begun

    def take(self, held: Callable[[Partition], bool]) -> dict[Partition, int]:
        """The ends of partitions of which no record is held back any more; they wait no longer."""
        free = {partition: end for partition, end in self._waiting.items() if not held(partition)}
        for partition in free:
            self.forget(partition)
        return free
