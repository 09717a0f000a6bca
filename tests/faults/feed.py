"""Feeding: events to the inputs, plainly and in transactions, and where the broker put each."""

import random
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

from confluent_kafka import KafkaError, Producer

from tests.faults.events import Event
from tests.faults.history import Fed
from tests.faults.stack import Offsets

Way = Literal["plain", "committed", "aborted"]
WAYS: tuple[Way, ...] = ("plain", "plain", "plain", "plain", "committed", "committed", "committed", "aborted")
"""How a portion of events goes in, as often as it stands here. Transactions leave markers, and aborted ones records, behind
which a group's offsets must go on although no event comes out of them."""
MOST_AT_ONCE = 40


class Feeder:
    """Produces events and keeps the history of what was fed."""

    def __init__(self, bootstrap: str, random_: random.Random) -> None:
        self._random = random_
        settings = {
            "bootstrap.servers": bootstrap,
            "log_level": 2,
            "enable.idempotence": True,
            "linger.ms": 5,
            "message.max.bytes": 2_000_000,
            "partitioner": "murmur2_random",
        }
        self._plain = Producer(settings)
        self._transactional = Producer({**settings, "transactional.id": f"feed-{uuid.uuid4().hex[:8]}"})
        self._transactional.init_transactions(30)
        self.fed: list[Fed] = []
        self.portions: Counter[Way] = Counter()
        self._failed: list[KafkaError] = []

    def feed(self, events: Sequence[Event]) -> None:
        """Send them, portion by portion, and wait for every acknowledgement."""
        for portion in self._portions(events):
            way = self._random.choice(WAYS)
            self.portions[way] += 1
            if way == "plain":
                self.fed += self._send(self._plain, portion)
                continue
            if way == "aborted":
                self._transactional.begin_transaction()
                self._send(self._transactional, portion)
                self._transactional.abort_transaction(30)
            # What was rolled back is sent again, as its producer would: those are the ones that must come out.
            self._transactional.begin_transaction()
            sent = self._send(self._transactional, portion)
            self._transactional.commit_transaction(30)
            self.fed += sent

    def _portions(self, events: Sequence[Event]) -> Iterator[Sequence[Event]]:
        start = 0
        while start < len(events):
            size = self._random.randint(1, MOST_AT_ONCE)
            yield events[start : start + size]
            start += size

    def _send(self, producer: Producer, events: Sequence[Event]) -> list[Fed]:
        sent: list[Fed] = []
        for event in events:
            producer.produce(
                event.topic,
                key=event.key,
                value=event.value,
                headers=list(event.headers),
                on_delivery=partial(self._delivered, event, sent),
            )
            producer.poll(0)
        if producer.flush(60) or self._failed:
            raise RuntimeError(f"the feed was not acknowledged: {self._failed[:3]}")
        return sent

    def close(self) -> None:
        """Release the connections."""
        self._plain.close()
        self._transactional.close()

    def ends(self) -> Offsets:
        """The offset after the last event fed to each partition."""
        ends: Offsets = {}
        for one in self.fed:
            topic, partition, offset = one.at
            ends[topic, partition] = max(ends.get((topic, partition), 0), offset + 1)
        return ends

    def _delivered(self, event: Event, sent: list[Fed], error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failed.append(error)
        else:
            sent.append(Fed((message.topic(), message.partition(), message.offset()), event))
