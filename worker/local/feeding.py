"""Sends the sample feed to Kafka at a steady rate."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from worker.errors import DependencyError
from worker.local.feed import FeedRecord, feed
from worker.settings import Settings
from worker.stream.config import open_producer, tool_producer_config
from worker.stream.publish import QUEUE_FULL_WAIT_S, DeliveryReport

_REPORT_EVERY_S = 10.0
_FLUSH_TIMEOUT_S = 30.0


def send(
    settings: Settings, *, rate_per_s: float, count: int | None, seed: int, progress: Callable[[str], None]
) -> int:
    """Produce the feed and return how many records were acknowledged.

    Blocks for ``count`` records, or until SIGINT or SIGTERM; both end it in order, so it must be called in the main
    thread. Raises DependencyError when records could not be delivered.
    """
    failures: list[str] = []
    sent = acknowledged = 0

    def delivered(error: Any, _message: Any) -> None:
        nonlocal acknowledged
        if error is None:
            acknowledged += 1
        else:
            failures.append(error.str())

    # The handlers only set a flag: an exception raised inside a call of the client would leave it in a broken state.
    stopping = threading.Event()
    previous = {
        number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    producer = open_producer(tool_producer_config(settings))
    began = reported = time.monotonic()
    try:
        for record in feed(seed, count):
            now = time.monotonic()
            due = began + sent / rate_per_s
            while now < due and not stopping.is_set():
                producer.poll(min(due - now, 0.1))
                now = time.monotonic()
            taken = False
            while not (taken or failures or stopping.is_set()):
                taken = offer(producer, record, delivered)
            if not taken:
                break
            sent += 1
            if now - reported >= _REPORT_EVERY_S:
                reported = now
                progress(f"{acknowledged} events sent")
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if stopping.is_set():
        progress("stopping")
    left = producer.flush(_FLUSH_TIMEOUT_S)
    if failures or left:
        raise DependencyError(
            f"{len(failures) + left} of {sent} events were not delivered: {failures[0] if failures else 'time-out'}",
            hint="`tagline topics create` makes the topics; `tagline doctor` checks the broker",
        )
    return acknowledged


def offer(producer: Producer, record: FeedRecord, on_delivery: DeliveryReport | None = None) -> bool:
    """Hand a record to the producer and serve delivery reports.

    False while the producer's own queue is full, after a moment in which it may drain: offer the record again.
    """
    try:
        producer.produce(
            record.topic, record.value, record.key, headers=list(record.headers), on_delivery=on_delivery
        )
    except BufferError:
        producer.poll(QUEUE_FULL_WAIT_S)
        return False
    producer.poll(0)
    return True
