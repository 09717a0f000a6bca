"""What the demo knows: events fed, and everything that came out on the topics that subscribers read."""

import json
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from worker.contracts.deadletter import read_dead_letter
from worker.contracts.topics import (
    ADS_SIGNALS,
    CARE_ALERTS,
    LISTINGS_TAGGED,
    RANKING_SIGNALS,
    REVIEWS_TAGGED,
    TOPICS,
)
from worker.stream.errors import kafka_error
from worker.telemetry.logs import kafka_logger

TAGGED = (LISTINGS_TAGGED, REVIEWS_TAGGED)
OUTPUT_TOPICS = tuple(topic.name for topic in TOPICS if topic.role != "input")
RECENT = 14
RATE_WINDOW_S = 5.0
REMEMBERED_TEXTS = 20_000
LEADER_TIMEOUT_S = 15.0


class Tag(NamedTuple):
    """One tagged event, with the text that the demo itself had sent for it."""

    kind: str
    text: str
    label: str
    confidence: float


@dataclass
class Tally:
    """Counts so far. Written by the feeding and the reading thread, each its own fields; read by the view."""

    fed: int = 0
    tagged: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    recent: deque[Tag] = field(default_factory=lambda: deque(maxlen=RECENT))
    arrivals: deque[float] = field(default_factory=deque)

    def rate(self) -> float:
        """Tagged events per second over the last few seconds."""
        horizon = time.monotonic() - RATE_WINDOW_S
        while self.arrivals and self.arrivals[0] < horizon:
            self.arrivals.popleft()
        return len(self.arrivals) / RATE_WINDOW_S

    @property
    def accounted(self) -> int:
        """Inputs with an outcome: tagged, or a dead letter."""
        return self.tagged + sum(self.dead_letters.values())


class Watcher:
    """Reads every output topic from its end, in a thread of its own, and keeps the tally."""

    def __init__(self, bootstrap_servers: str, tally: Tally) -> None:
        self._tally = tally
        self._texts: dict[str, str] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "tagline-demo-watcher",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            },
            logger=kafka_logger(),
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="demo-watcher", daemon=True)

    def start(self) -> None:
        """Take a position at the end of every output topic, then begin to read. Blocks for the look-up."""
        topics = self._consumer.list_topics(timeout=LEADER_TIMEOUT_S).topics
        partitions = [
            TopicPartition(name, number) for name in OUTPUT_TOPICS for number in topics[name].partitions
        ]
        for partition in partitions:
            # The end as it is now, not as it will be when the first fetch arrives.
            partition.offset = self._end(partition)
        self._consumer.assign(partitions)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it was started, and close the consumer."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._consumer.close()

    def remember(self, identity: str, text: str) -> None:
        """Keep the text that was sent for a listing or review, to show it beside its tag: outputs carry no text."""
        self._texts[identity] = text
        if len(self._texts) > REMEMBERED_TEXTS:
            del self._texts[next(iter(self._texts))]

    def _end(self, partition: TopicPartition) -> int:
        deadline = time.monotonic() + LEADER_TIMEOUT_S
        while True:
            try:
                return int(self._consumer.get_watermark_offsets(partition, timeout=LEADER_TIMEOUT_S)[1])
            except KafkaException as error:
                # A topic made a moment ago has no leader yet.
                if time.monotonic() > deadline:
                    raise kafka_error(error, "looking for the ends of the output topics") from error
                time.sleep(0.1)

    def _read(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            topic, headers = message.topic() or "", message.headers() or []
            letter = read_dead_letter(headers)  # type: ignore[arg-type] # values are bytes; the stub also allows str
            if letter is not None:
                self._tally.dead_letters[letter.reason] += 1
            elif topic in TAGGED:
                self._tagged(topic, json.loads(message.value() or b"{}"))
            else:
                self._tally.signals[
                    {RANKING_SIGNALS: "ranking", ADS_SIGNALS: "ads", CARE_ALERTS: "care"}[topic]
                ] += 1

    def _tagged(self, topic: str, event: dict[str, object]) -> None:
        kind = "title" if topic == LISTINGS_TAGGED else "review"
        identity = str(event.get("listing_id" if kind == "title" else "review_id"))
        sentiment = event["sentiment"]
        assert isinstance(sentiment, dict)  # noqa: S101 # our own contract
        tally = self._tally
        tally.tagged += 1
        tally.labels[sentiment["label"]] += 1
        tally.arrivals.append(time.monotonic())
        tally.recent.append(
            Tag(kind, self._texts.get(identity, ""), sentiment["label"], sentiment["confidence"])
        )
