"""The micro-batch: what one intake window gathered, the model classifies in one go, and one commit covers."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from worker.contracts.outbound import OutboundMessage
from worker.stream.assignment import Assignment
from worker.stream.record import Partition, Record


class Outcome(NamedTuple):
    """What became of one record: the messages it gave rise to, or why it gave none."""

    kind: str
    """`tagged`, `rejected` or `skipped`: nothing leaves without one of them."""
    messages: list[OutboundMessage]
    """To publish in this order: outputs of a tagged record, the one dead letter of a rejected one, none of a skipped."""
    labels: tuple[str, ...]
    """What it is counted by: kind of text and label of a tagged record, stage and reason of a rejected one, reason of a
    skipped."""
    score: float | None = None
    """Probability of a tagged record's label."""


@dataclass(slots=True, eq=False)
class MicroBatch:
    """Records in the order they were read, what became of them, and the offsets to commit."""

    records: list[Record]
    epochs: dict[Partition, int]
    """Epoch of each partition when the window closed."""
    rewind: int
    """How many rewinds had been carried out when the window closed; an older one is stale."""
    group_metadata: Any
    """The consumer group's metadata under which the records were polled (opaque); None when at least once."""
    oldest_ms: int
    """Time stamp of its oldest record, milliseconds since the epoch; 0 when none has one."""
    size: int
    """Bytes of its records."""
    ends: dict[Partition, int] = field(default_factory=dict)
    """Ends of partitions that were reached behind its records and all before them (see `ends`). It may have no record at all."""
    work: Any = None
    """What the prepare stage leaves for the classify stage; the stream does not look inside."""
    outcomes: list[Outcome] = field(default_factory=list)
    """What became of its records; from publishing on, of those that are still ours."""

    def offsets(self) -> dict[Partition, int]:
        """The offset to commit for each partition: that of the next record to read, or its end."""
        return {(record.topic, record.partition): record.offset + 1 for record in self.records} | self.ends

    def current(self, assignment: Assignment) -> frozenset[Partition]:
        """The partitions that are still ours under the epoch at which the records were read. Any thread."""
        return frozenset(p for p, epoch in self.epochs.items() if assignment.epoch(p) == epoch)
