"""The raw copy loop: the simplest Python program that moves records from a topic to another and loses none.

    python -m worker.bench.copying < specification.json > result.json

It is what a consumer in Python costs when it does nothing with a record. Per message: one ``poll``, one ``produce`` of the
same key and value (and, if told so, the same headers) with a delivery callback, one ``poll(0)`` of the producer. Per batch of
messages: ``flush``, a look at the failures that the callbacks counted, and a synchronous ``commit``, so that it promises what the worker
promises. Client settings are the worker's own: idempotent, acks=all, lz4, the same linger, and the same fetching.
"""

import sys
import time
from typing import Any

from confluent_kafka import KafkaError, Message

from worker.bench.child import answer
from worker.settings import load
from worker.stream.config import consumer_config, open_consumer, open_producer, producer_config

PATIENCE_S = 60.0


def copy(specification: dict[str, Any]) -> dict[str, object]:
    """Copy `count` records of `topics` to `target`, committing every `batch` of them; the time from the first that arrives to the last commit."""
    settings = load({"kafka.group_id": specification["group"]})
    consumer, producer = (
        open_consumer(consumer_config(settings)),
        open_producer(producer_config(settings, None)),
    )
    target, count, batch = specification["target"], specification["count"], specification["batch"]
    whole = specification["headers"]
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


if __name__ == "__main__":
    sys.exit(answer(copy))
