"""Stand-ins for the client's objects, for what is ours alone. What Kafka does is tested on a real broker."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from worker.stream.microbatch import MicroBatch
from worker.stream.record import Record
from worker.stream.stages import Finished

TOPIC = "t"


def failed(code: int, text: str = "injected") -> KafkaException:
    """What the client raises."""
    return KafkaException(KafkaError(code, text))


def micro_batch(epochs: dict[tuple[str, int], int], *records: tuple[int, int]) -> MicroBatch:
    """A micro-batch of (partition, offset) pairs of `TOPIC`."""
    made = [Record(TOPIC, partition, offset, 0, None, b"v", []) for partition, offset in records]
    return MicroBatch(made, epochs, 0, None, 0, len(made))


class FakeMessage:
    """A record or an error at a place."""

    def __init__(
        self, offset: int | None, code: int | None = None, partition: int = 0, topic: str = TOPIC
    ) -> None:
        self._at = (topic, partition, offset)
        self._error = None if code is None else KafkaError(code, "injected")

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return self._at[0]

    def partition(self) -> int:
        return self._at[1]

    def offset(self) -> int | None:
        return self._at[2]

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return b"v"


class FakeConsumer:
    """Hands out what a test puts into `to_read` and notes what it is told."""

    def __init__(self) -> None:
        self.to_read: deque[FakeMessage | Callable[[], None]] = deque()
        """Messages, and things that happen inside a poll (rebalances)."""
        self.calls: list[str] = []
        self.waits: list[float] = []
        """Seconds that each poll was allowed to take."""
        self.stored: dict[tuple[str, int], int] = {}
        self.committed_offsets: dict[tuple[str, int], int] = {}
        self.refusals: deque[KafkaException] = deque()
        """Raised by the next commits or look-ups of committed offsets, one each."""
        self.high_watermarks: dict[tuple[str, int], int] = {}
        self.end_refusals: deque[KafkaException] = deque()
        """Raised by the next look-ups of high watermarks, one each."""
        self.beginning_refusals: deque[KafkaException] = deque()
        """Raised by the next commits of offsets that are named, one each."""
        self.seeks: list[tuple[int, int]] = []
        self.callbacks: dict[str, Callable[..., None]] = {}
        self.closed = False
        self.paused: set[tuple[str, int]] = set()
        """As in the client, a pause outlives the assignment."""

    def subscribe(self, _topics: Sequence[str], **callbacks: Callable[..., None]) -> None:
        self.callbacks = callbacks

    def poll(self, timeout_s: float) -> FakeMessage | None:
        self.calls.append("poll")
        self.waits.append(timeout_s)
        if not self.to_read:
            return None
        following = self.to_read.popleft()
        if isinstance(following, FakeMessage):
            return following
        following()
        return None

    def consume(self, count: int, _timeout_s: float) -> list[FakeMessage]:
        taken: list[FakeMessage] = []
        while len(taken) < count and self.to_read and isinstance(self.to_read[0], FakeMessage):
            taken.append(self.to_read.popleft())  # type: ignore[arg-type] # just checked
        return taken

    def store_offsets(self, offsets: Sequence[TopicPartition]) -> None:
        self._refuse()
        self.stored |= {(one.topic, one.partition): one.offset for one in offsets}

    def commit(
        self, *, asynchronous: bool, offsets: Sequence[TopicPartition] | None = None
    ) -> list[TopicPartition] | None:
        if offsets is not None:
            self.calls.append(f"commit of {len(offsets)}")
            if self.beginning_refusals:
                raise self.beginning_refusals.popleft()
            self.committed_offsets |= {(one.topic, one.partition): one.offset for one in offsets}
            return list(offsets)
        self.calls.append("commit later" if asynchronous else "commit")
        self._refuse()
        self.committed_offsets |= self.stored
        return None

    def committed(self, partitions: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        self._refuse()
        return [
            TopicPartition(
                one.topic,
                one.partition,
                self.committed_offsets.get((one.topic, one.partition), OFFSET_INVALID),
            )
            for one in partitions
        ]

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int]:
        if self.end_refusals:
            raise self.end_refusals.popleft()
        return 0, self.high_watermarks[partition.topic, partition.partition]

    def seek(self, partition: TopicPartition) -> None:
        self.seeks.append((partition.partition, partition.offset))

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self.calls.append(f"pause {len(partitions)}")
        self.paused |= {(one.topic, one.partition) for one in partitions}

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self.calls.append(f"resume {len(partitions)}")
        self.paused -= {(one.topic, one.partition) for one in partitions}

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.calls.append(f"assign {len(partitions)}")

    def incremental_unassign(self, partitions: Sequence[TopicPartition]) -> None:
        self.calls.append(f"unassign {len(partitions)}")

    def consumer_group_metadata(self) -> str:
        return "metadata"

    def close(self) -> None:
        self.closed = True

    def _refuse(self) -> None:
        if self.refusals:
            raise self.refusals.popleft()


class FakeStages:
    """Stages that finish what a test tells them to."""

    def __init__(self) -> None:
        self.submitted: list[MicroBatch] = []
        self.done: deque[Finished] = deque()
        self.at_once = True
        self.rewinds = 0
        self.has_room = True
        self.hungry = True
        self.failure: Exception | None = None
        self.waits: list[float] = []
        """Seconds that each look at what is finished was allowed to take."""

    def submit(self, batch: MicroBatch) -> None:
        self.submitted.append(batch)
        if self.at_once:
            self.done.append(Finished(batch, published=True))

    def finished(self, timeout_s: float) -> list[Finished]:
        self.waits.append(timeout_s)
        done = list(self.done)
        self.done.clear()
        return done

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure


class FakeProducer:
    """Takes messages; acknowledges, in `poll`, those that a test lets through."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[str, Callable[..., None]]] = deque()
        self.calls: list[str] = []
        self.errors: dict[str, list[BaseException]] = {}
        """By method: raised by its next calls."""
        self.acknowledging = True
        self.delivery_error: KafkaError | None = None

    def produce(
        self,
        topic: str,
        _value: Any,
        _key: Any,
        _partition: int,
        *,
        on_delivery: Callable[..., None],
        headers: Any,
    ) -> None:
        self._raise("produce")
        self.waiting.append((topic, on_delivery))

    def poll(self, _timeout_s: float) -> None:
        self._raise("poll")
        while self.acknowledging and self.waiting:
            self.deliver_one()

    def deliver_one(self) -> None:
        topic, report = self.waiting.popleft()
        report(self.delivery_error, FakeMessage(0, topic=topic))

    def purge(self) -> None:
        self._raise("purge")

    def flush(self, _timeout_s: float) -> None:
        self._raise("flush")

    def init_transactions(self, _timeout_s: float) -> None:
        self._raise("init")

    def begin_transaction(self) -> None:
        self._raise("begin")

    def send_offsets_to_transaction(
        self, offsets: Sequence[TopicPartition], metadata: Any, _timeout_s: float
    ) -> None:
        self._raise("offsets")

    def commit_transaction(self, _timeout_s: float) -> None:
        self.poll(0)
        self._raise("commit")

    def abort_transaction(self, _timeout_s: float) -> None:
        self._raise("abort")

    def _raise(self, name: str) -> None:
        self.calls.append(name)
        if self.errors.get(name):
            raise self.errors[name].pop(0)
