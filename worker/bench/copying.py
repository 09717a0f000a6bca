"""The raw copy loop: the simplest Python program that moves records from a topic to another and loses none.

    python -m worker.bench.copying < specification.json > result.json

It is what a consumer in Python costs when it does nothing with a record. Per message: one ``poll``, one ``produce`` of the
same key and value (and, if told so, the same headers) with a delivery callback, one ``poll(0)`` of the producer. Per batch
of messages: ``flush``, a look at the failures that the callbacks counted, and a synchronous ``commit``, so that it promises
what the worker promises. Client settings are the worker's own: idempotent, acks=all, lz4, the same linger, and the same
fetching.

Told to, it publishes for each record what the worker would, made before the clock starts: as many messages, with all their
headers. That is what any Python program pays that reads these records and publishes these messages, before it has looked at one.
"""

import sys
import time
from typing import Any

from confluent_kafka import KafkaError, Message

from worker.bench.child import answer
from worker.bench.events import input_event
from worker.bench.texts import unique_texts
from worker.contracts.envelope import Inbound, decode
from worker.contracts.outbound import Coordinates, OutboundMessage
from worker.contracts.sentiment import scores_of
from worker.contracts.tagged import ModelRef
from worker.settings import load
from worker.signals.outputs import OutputWriter
from worker.stream.config import consumer_config, open_consumer, open_producer, producer_config

PATIENCE_S = 60.0
MADE = 1_000
"""Records whose messages are made beforehand, and then come round again and again."""
_ANSWERS = ((0.03, 0.02, 0.95), (0.05, 0.9, 0.05), (0.93, 0.05, 0.02))
"""A third of the reviews is negative, as with the shipped model, and raises an alert."""


def copy(specification: dict[str, Any]) -> dict[str, object]:
    """Copy `count` records of `topics` to `target`, committing every `batch`; timed from the first arrival to the last commit."""
    settings = load({"kafka.group_id": specification["group"]})
    consumer, producer = (
        open_consumer(consumer_config(settings)),
        open_producer(producer_config(settings, None)),
    )
    target, count, batch = specification["target"], specification["count"], specification["batch"]
    whole = specification["headers"]
    made = messages_of_worker(specification["seed"]) if specification["made"] else []
    failures = 0

    def delivered(error: KafkaError | None, _message: Message) -> None:
        nonlocal failures
        failures += error is not None

    consumer.subscribe(specification["topics"])
    copied, began = 0, 0.0
    heard = time.monotonic()
    while copied < count:
        message = consumer.poll(0.1)
        if message is None or message.error() is not None:
            if time.monotonic() - heard > PATIENCE_S:
                raise RuntimeError(f"only {copied} of {count} records arrived")
            continue
        if copied == 0:
            began = time.perf_counter()
        headers = message.headers() if whole else None
        if made:
            for _, key, value, own in made[copied % MADE]:
                producer.produce(target, value, key, on_delivery=delivered, headers=own)  # type: ignore[arg-type] # only read
        else:
            producer.produce(target, message.value(), message.key(), on_delivery=delivered, headers=headers)
        producer.poll(0)
        copied += 1
        if copied % batch == 0 or copied == count:
            heard = time.monotonic()
            producer.flush()
            if failures:
                raise RuntimeError(f"{failures} records were not delivered")
            consumer.commit(offsets=consumer.position(consumer.assignment()), asynchronous=False)
    seconds = time.perf_counter() - began
    consumer.close()
    return {"records": copied, "seconds": seconds}


def messages_of_worker(seed: int) -> list[list[OutboundMessage]]:
    """What the worker publishes for each of the bench's first ``MADE`` events."""
    writer = OutputWriter(
        ce_source="/tagline/bench", model=ModelRef(name="bench", digest="0" * 12, precision="float32")
    )
    made = []
    for number, text in enumerate(unique_texts(MADE, seed)):
        event = input_event(text, number, number)
        inbound = decode(event.topic, event.key, event.value, event.headers)
        if not isinstance(inbound, Inbound):
            raise TypeError("the bench's own event is refused")
        scores = scores_of(*_ANSWERS[number % len(_ANSWERS)], truncated=False)
        at = Coordinates(event.topic, 0, number, 1_777_863_721_000)
        made.append(
            writer.messages(inbound, scores, at, text=text.text, published_at=b"2026-05-04T03:02:01.000Z")
        )
    return made


if __name__ == "__main__":
    sys.exit(answer(copy))
