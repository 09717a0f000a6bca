"""The bench's side of Kafka: it lays out records, waits until a group has committed them, and reads when outputs were made.

Outputs are read only after the work is done, so that reading does not take the cores from what is measured.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

import orjson
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import NewTopic, OffsetSpec

from worker.bench.events import InputEvent, number_of
from worker.contracts.topics import (
    DEFAULT_PARTITIONS,
    INPUT_TOPICS,
    LISTINGS_TAGGED,
    REVIEWS_TAGGED,
    TOPICS,
    dead_letter_topic,
)
from worker.errors import DataError, DependencyError
from worker.settings import Settings
from worker.stream.admin import create
from worker.stream.config import (
    admin_config,
    open_admin,
    open_consumer,
    open_producer,
    reader_config,
    tool_producer_config,
)
from worker.stream.errors import kafka_error

TAGGED = (LISTINGS_TAGGED, REVIEWS_TAGGED)
LETTERS = tuple(dead_letter_topic(topic) for topic in INPUT_TOPICS)
ANSWER_S = 15.0
STALLED_AFTER_S = 180.0
"""Without any progress for this long a measurement is given up."""
_LOOK_S = 0.2

Offsets = dict[tuple[str, int], int]
"""By topic and partition."""


class Output(NamedTuple):
    """When a tagged event was made, how old its input was then, and which of the bench's events that was."""

    made_s: float
    age_ms: float
    number: int


class Traffic:
    """One bench's records, groups and topics. Use as a context manager: groups and topics of its own are deleted."""

    def __init__(self, settings: Settings) -> None:
        self.source = f"/tagline/bench/{uuid.uuid4().hex[:12]}"
        """The `ce_source` by which outputs of this bench's workers are told from others."""
        self._settings = settings
        self._admin = open_admin(admin_config(settings))
        self._producer = open_producer(tool_producer_config(settings) | {"linger.ms": 1})
        self._groups: list[str] = []
        self._onlookers: dict[str, Consumer] = {}
        self._topics: list[str] = []
        self._failed = 0

    def __enter__(self) -> Self:
        create(self._admin, TOPICS)
        return self

    def __exit__(self, *_: object) -> None:
        for onlooker in self._onlookers.values():
            onlooker.close()
        for futures in (
            self._admin.delete_consumer_groups(self._groups) if self._groups else {},
            self._admin.delete_topics(self._topics) if self._topics else {},
        ):
            for future in futures.values():
                future.exception(ANSWER_S)  # a broker that keeps them harms nobody
        self._producer.close()
        # Its way to close; left to the collector it may die in a foreign thread.
        self._admin.__exit__(None, None, None)

    # -- where things stand -----------------------------------------------------------------------------------------

    def ends(self, topics: Iterable[str]) -> Offsets:
        """The offset after the last record of every partition. New topics are waited for."""
        names, deadline = set(topics), time.monotonic() + ANSWER_S
        while True:
            known = self._admin.list_topics(timeout=ANSWER_S).topics
            asked = {
                TopicPartition(topic, number): OffsetSpec.latest()
                for topic in names & set(known)
                for number in known[topic].partitions
            }
            answers = self._admin.list_offsets(asked, request_timeout=ANSWER_S)
            try:
                found = {(at.topic, at.partition): future.result().offset for at, future in answers.items()}
            except KafkaException as error:  # the broker does not yet know that it leads a new partition
                if time.monotonic() > deadline:
                    raise kafka_error(error, "asking where the topics end") from error
            else:
                if {topic for topic, _ in found} == names:
                    return found
            time.sleep(_LOOK_S)

    def new_group(self, starts: Offsets | None = None) -> str:
        """A consumer group that begins at `starts`, or at the present ends of the inputs."""
        group = f"tagline-bench-{uuid.uuid4().hex[:8]}"
        starts = self.ends(INPUT_TOPICS) if starts is None else starts
        partitions = [TopicPartition(*at, offset) for at, offset in starts.items()]
        request = [ConsumerGroupTopicPartitions(group, partitions)]
        for future in self._admin.alter_consumer_group_offsets(request).values():
            future.result()
        self._groups.append(group)
        return group

    def lag(self, group: str, ends: Offsets) -> int:
        """Records below `ends` that the group has not committed."""
        # By a consumer that joins nothing: the admin client's question may end the process where the group's coordinator has
        # just moved (librdkafka issue 5040).
        if group not in self._onlookers:
            config = reader_config(self._settings, group) | {"isolation.level": "read_uncommitted"}
            self._onlookers[group] = open_consumer(config)
        found = self._onlookers[group].committed([TopicPartition(*at) for at in ends], timeout=ANSWER_S)
        committed = {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}
        return sum(max(0, end - committed.get(at, 0)) for at, end in ends.items())

    def await_lag(self, group: str, most: int, check: Callable[[], None]) -> None:
        """Wait until at most `most` records of the inputs are uncommitted; `check` raises when waiting is in vain."""
        ends = self.ends(INPUT_TOPICS)
        least, heard = self.lag(group, ends), time.monotonic()
        while least > most:
            time.sleep(_LOOK_S)
            check()
            lag, now = self.lag(group, ends), time.monotonic()
            if lag < least:
                least, heard = lag, now
            elif now - heard > STALLED_AFTER_S:
                raise DependencyError(
                    f"{lag} records are left and nothing was committed for {STALLED_AFTER_S:.0f} s"
                )

    # -- feeding ----------------------------------------------------------------------------------------------------

    def send(self, event: InputEvent, *, topic: str | None = None) -> None:
        """Queue one record; ``settle`` waits for its acknowledgement."""
        while True:
            try:
                self._producer.produce(
                    topic or event.topic,
                    event.value,
                    event.key,
                    headers=event.headers,  # type: ignore[arg-type] # the stub wants a list of a wider type
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return

    def settle(self) -> None:
        """Wait until everything sent is on the broker."""
        if self._producer.flush(120) or self._failed:
            raise DependencyError("the broker did not take the bench's records")

    def feed(self, events: Iterable[InputEvent]) -> None:
        """Send all and wait until the broker has them."""
        for event in events:
            self.send(event)
        self.settle()

    def new_topic(self) -> str:
        """A topic of its own, with as many partitions as an input has."""
        name = f"tagline-bench-{uuid.uuid4().hex[:8]}"
        for future in self._admin.create_topics([NewTopic(name, DEFAULT_PARTITIONS, -1)]).values():
            future.result()
        self._topics.append(name)
        return name

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self._failed += error is not None

    # -- reading what came out ----------------------------------------------------------------------------------------

    def outputs(self, since: Offsets, count: int) -> list[Output]:
        """The tagged events of this bench from `since` on, which must be exactly `count` of them.

        Raises:
            DataError: there are more or fewer, or dead letters: the measurement is worth nothing.
        """
        ends = self.ends({topic for topic, _ in since})
        letters = sum(end - since[at] for at, end in ends.items() if at[0] in LETTERS)
        found = [
            output
            for message in self._read({at: offset for at, offset in since.items() if at[0] in TAGGED}, ends)
            if (output := self._output(message)) is not None
        ]
        if len(found) != count or letters:
            raise DataError(
                f"{count} records were fed; {len(found)} tagged events and {letters} dead letters came out",
                hint="Use a broker on which nobody else writes to the input topics meanwhile.",
            )
        return found

    def mark(self) -> Offsets:
        """Where outputs and dead letters end now: what ``outputs`` counts from."""
        return self.ends((*TAGGED, *LETTERS))

    def _output(self, message: Message) -> Output | None:
        headers = dict(message.headers() or [])
        if headers.get("ce_source") != self.source.encode():
            return None
        made_ms = message.timestamp()[1]
        source = orjson.loads(message.value() or b"")["source"]
        number = number_of(source["id"])
        if number is None:
            raise DataError(
                "somebody else's event stood among the bench's",
                hint="Use a broker on which nobody else writes to the input topics meanwhile.",
            )
        return Output(made_ms / 1000, made_ms - source["timestamp_ms"], number)

    def _read(self, starts: Offsets, ends: Offsets) -> Iterator[Message]:
        waiting = {at for at, offset in starts.items() if offset < ends[at]}
        consumer = open_consumer(reader_config(self._settings, "tagline-bench-reader"))
        try:
            consumer.assign([TopicPartition(*at, starts[at]) for at in sorted(waiting)])
            heard = time.monotonic()
            while waiting:
                for message in consumer.consume(1_000, 0.2):
                    error, heard = message.error(), time.monotonic()
                    if error is None:
                        yield message
                    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 # the client's public name for it
                        waiting.discard((message.topic() or "", message.partition() or 0))
                if time.monotonic() - heard > ANSWER_S:
                    raise DependencyError(f"outputs in {len(waiting)} partitions cannot be read")
        finally:
            consumer.close()
