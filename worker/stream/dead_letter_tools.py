"""Looking at dead letters: which there are, and one of them in full. `redrive` sends them back."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from worker.contracts.deadletter import DeadLetter, read_dead_letter
from worker.contracts.topics import DEAD_LETTER_SUFFIX, INPUT_TOPICS, dead_letter_topic
from worker.errors import DataError, UsageError
from worker.stream.reading import Reader
from worker.stream.record import Record


class Letter(NamedTuple):
    """One record of a dead-letter topic and what its headers say; None when they are not a dead letter's."""

    record: Record
    says: DeadLetter | None

    @property
    def coordinates(self) -> str:
        """`topic/partition/offset` of the dead letter itself: what `show` takes."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"

    @property
    def reason(self) -> str:
        """The reason code, or `foreign` for a record that is not a dead letter of ours."""
        return self.says.reason if self.says else "foreign"


def topics_named(names: Sequence[str]) -> list[str]:
    """The dead-letter topics for these inputs (or dead-letter topics); all of them when no name is given."""
    known = {dead_letter_topic(topic) for topic in INPUT_TOPICS}
    topics = sorted(
        {name if name.endswith(DEAD_LETTER_SUFFIX) else dead_letter_topic(name) for name in names}
    )
    if unknown := [topic for topic in topics if topic not in known]:
        raise UsageError(
            f"not a dead-letter topic: {', '.join(unknown)}", hint=f"there are {', '.join(sorted(known))}"
        )
    return topics or sorted(known)


def coordinates_of(text: str) -> tuple[str, int, int]:
    """Read `topic/partition/offset`."""
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isascii() and partition.isdigit() and offset.isascii() and offset.isdigit()):
        raise UsageError(
            f"{text!r} is not TOPIC/PARTITION/OFFSET", hint="`tagline dlq list` prints them in that form"
        )
    return topic, int(partition), int(offset)


def letters(reader: Reader, topics: Sequence[str], *, since_ms: int | None = None) -> Iterator[Letter]:
    """Every dead letter there is now, in order within a partition. Blocks while it reads."""
    partitions = reader.partitions(topics)
    bounds = reader.bounds(partitions)
    starts = {partition: low for partition, (low, _) in bounds.items()}
    if since_ms is not None:
        starts |= reader.since(partitions, since_ms)
    ends = {partition: high for partition, (_, high) in bounds.items() if starts[partition] < high}
    reader.start({partition: starts[partition] for partition in ends})
    for record in reader.up_to(ends):
        yield Letter(record, read_dead_letter(record.headers))


def letter_at(reader: Reader, topic: str, partition: int, offset: int) -> Letter:
    """The dead letter at these coordinates. ``DataError`` when there is none (deleted by age, or never there)."""
    if (topic, partition) not in reader.partitions([topic]):
        raise DataError(f"{topic} has no partition {partition}")
    low, high = reader.bounds([(topic, partition)])[topic, partition]
    if low <= offset < high:
        reader.start({(topic, partition): offset})
        for record in reader.up_to({(topic, partition): offset + 1}):
            return Letter(record, read_dead_letter(record.headers))
    holds = (
        f"the partition holds offsets {low} to {high - 1}" if low < high else "the partition holds nothing"
    )
    raise DataError(f"nothing at {topic}/{partition}/{offset}", hint=holds)
