"""Feeding: events to the inputs, and where the broker put each."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, Producer

from tests.faults.events import Event
from tests.faults.history import Fed
from tests.faults.stack import Offsets


class Feeder:
    """Produces events and keeps the history of what was fed."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": 2,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.max.bytes": 2_000_000,
                "partitioner": "murmur2_random",
            }
        )
        self.fed: list[Fed] = []
        self._failed: list[KafkaError] = []

    def feed(self, events: Iterable[Event]) -> None:
        """Send them and wait for every acknowledgement."""
        for event in events:
            self._producer.produce(
                event.topic,
                key=event.key,
                value=event.value,
                headers=list(event.headers),
                on_delivery=partial(self._delivered, event),
            )
            self._producer.poll(0)
        if self._producer.flush(60) or self._failed:
            raise RuntimeError(f"the feed was not acknowledged: {self._failed[:3]}")

    def close(self) -> None:
        """Release the connection."""
        self._producer.close()

    def ends(self) -> Offsets:
        """The offset after the last event fed to each partition."""
        ends: Offsets = {}
        for one in self.fed:
            topic, partition, offset = one.at
            ends[topic, partition] = max(ends.get((topic, partition), 0), offset + 1)
        return ends

    def _delivered(self, event: Event, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failed.append(error)
        else:
            self.fed.append(Fed((message.topic(), message.partition(), message.offset()), event))
