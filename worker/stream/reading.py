"""Reading topics from outside: partitions assigned by hand, nothing joined, nothing committed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from worker.errors import DataError, DependencyError
from worker.settings import Settings
from worker.stream.asking import until_answered
from worker.stream.config import open_consumer, reader_config
from worker.stream.described import describe
from worker.stream.errors import kafka_error, leader_moves
from worker.stream.record import Partition, Record, from_message

ANSWER_TIMEOUT_S = 15.0
STALLED_AFTER_S = 30.0
"""A read towards a known end that hears nothing for this long gives up."""
_POLL_S = 0.1


class Reader:
    """A consumer for looking. Use it as a context manager, from one thread; every method may block for `ANSWER_TIMEOUT_S`.

    All methods raise ``TaglineError`` when the cluster does not answer or refuses.
    """

    def __init__(self, settings: Settings, group_id: str) -> None:
        self.consumer: Consumer = open_consumer(reader_config(settings, group_id))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.consumer.close()

    def partitions(self, topics: Sequence[str]) -> list[Partition]:
        """Every partition of the topics, sorted. A topic that does not exist is a ``DataError``."""
        found, missing = describe(
            self.consumer, topics, timeout_s=ANSWER_TIMEOUT_S, doing="asking for the topics"
        )
        if missing:
            raise DataError(
                f"no such topic: {', '.join(missing)}",
                hint="`tagline topics check` lists what there is; `tagline topics create` makes what is missing",
            )
        return sorted((topic, number) for topic in topics for number in found[topic].partitions)

    def bounds(self, partitions: Sequence[Partition]) -> dict[Partition, tuple[int, int]]:
        """First offset, and the one after the last record that is committed, of each partition. Waits for leaders that move."""
        return {partition: self._bounds(*partition) for partition in partitions}

    def _bounds(self, topic: str, number: int) -> tuple[int, int]:
        at, doing = TopicPartition(topic, number), f"asking for the offsets of {topic} partition {number}"
        low_high = until_answered(
            lambda: self.consumer.get_watermark_offsets(at, timeout=ANSWER_TIMEOUT_S),
            doing,
            worth_asking_again=leader_moves,
            call_s=ANSWER_TIMEOUT_S,
            limit_s=ANSWER_TIMEOUT_S,
            hint="no broker may lead it; `tagline doctor` looks at the brokers",
        )
        if low_high is None:
            raise DependencyError(f"{doing}: no answer in time")
        return low_high

    def ends(self, topics: Sequence[str]) -> dict[Partition, int]:
        """Where each partition ends now, to read only what comes later. Waits for leaders, as `bounds` does."""
        return end_positions(self.bounds(self.partitions(topics)))

    def since(self, partitions: Sequence[Partition], timestamp_ms: int) -> dict[Partition, int]:
        """The first offset of each partition whose record is not older; the end of a partition without one."""
        asked = [TopicPartition(topic, number, timestamp_ms) for topic, number in partitions]
        try:
            answered = self.consumer.offsets_for_times(asked, timeout=ANSWER_TIMEOUT_S)
        except KafkaException as error:
            raise kafka_error(error, "asking for offsets by time") from error
        ends = self.bounds([(one.topic, one.partition) for one in answered if one.offset < 0])
        return {
            key: ends[key][1] if key in ends else one.offset
            for one in answered
            for key in [(one.topic, one.partition)]
        }

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Read from these offsets on, from now on only these partitions. Does not block."""
        self.consumer.assign([TopicPartition(*partition, offset) for partition, offset in positions.items()])

    def poll(self, timeout_s: float = _POLL_S) -> Record | Partition | None:
        """The next record; a partition whose end was reached; None when nothing came in time."""
        message = self.consumer.poll(timeout_s)
        if message is None:
            return None
        error = message.error()
        if error is None:
            return from_message(message)
        topic, number = message.topic(), message.partition()
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own codes begin with an underscore
            return str(topic), int(number or 0)
        if error.retriable() or topic is None:
            return None  # librdkafka tries again by itself; whoever reads towards an end notices a standstill
        raise kafka_error(error, f"reading {topic} partition {number}")

    def up_to(self, ends: Mapping[Partition, int]) -> Iterator[Record]:
        """Records until every partition has reached its end (an offset, exclusive). Call ``start`` first."""
        left = set(ends)
        heard_at = time.monotonic()
        while left:
            got = self.poll()
            if got is None:
                if time.monotonic() - heard_at > STALLED_AFTER_S:
                    raise DependencyError(
                        f"nothing was read for {STALLED_AFTER_S:.0f} s",
                        hint="`tagline doctor` looks at the cluster",
                    )
                continue
            heard_at = time.monotonic()
            if not isinstance(got, Record):
                left.discard(got)
                continue
            partition = (got.topic, got.partition)
            if partition in left:
                if got.offset < ends[partition]:
                    yield got
                if got.offset + 1 >= ends[partition]:
                    left.discard(partition)


def end_positions(bounds: Mapping[Partition, tuple[int, int]]) -> dict[Partition, int]:
    """Where reading only what comes from now on begins: the ends as they were asked for, not as they will be."""
    return {partition: high if high >= 0 else OFFSET_END for partition, (_, high) in bounds.items()}
