"""Sends the sample feed to Kafka at a steady rate."""

import signal
import time
from collections.abc import Callable
from typing import Any

from worker.errors import DependencyError
from worker.local.feed import feed
from worker.settings import Settings
from worker.stream.config import open_producer, producer_config

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

    producer = open_producer(producer_config(settings, None))
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = reported = time.monotonic()
    try:
        for record in feed(seed, count):
            now = time.monotonic()
            due = began + sent / rate_per_s
            while now < due:
                producer.poll(min(due - now, 0.1))
                now = time.monotonic()
            if failures:
                break
            producer.produce(
                record.topic, record.value, record.key, headers=list(record.headers), on_delivery=delivered
            )
            producer.poll(0)
            sent += 1
            if now - reported >= _REPORT_EVERY_S:
                reported = now
                progress(f"{acknowledged} events sent")
    except KeyboardInterrupt:
        progress("stopping")
    finally:
        signal.signal(signal.SIGTERM, previous)
    left = producer.flush(_FLUSH_TIMEOUT_S)
    if failures or left:
        raise DependencyError(
            f"{len(failures) + left} of {sent} events were not delivered: {failures[0] if failures else 'time-out'}",
            hint="`tagline topics create` makes the topics; `tagline doctor` checks the broker",
        )
    return acknowledged
