"""What waits for Redis is bounded, and what was taken is given back.

Each test requires that its fault happened, that no look-up takes longer than the budget, and that no wrong answer comes out.
"""

import os
import threading
import time
from collections.abc import Callable

import pytest

from tests.integration.cache.look_ups import (
    ANSWERS,
    BUSY_MACHINE_S,
    keys_of,
    look_up_for,
    remember,
    value,
)
from tests.integration.redis_faults import PrivateValkey
from tests.waiting import wait_until
from worker.cache.tiers import Cache

pytestmark = pytest.mark.integration


def test_putting_never_waits_and_what_does_not_fit_is_dropped_and_counted(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    server.hang()
    one = cache(server.url, write_queue=1_000)
    dropped = value("cache_writes", result="dropped")
    items = [(key, ANSWERS[0]) for key in keys_of(one, 5_000)]
    started = time.monotonic()
    one.put_many(items)
    assert time.monotonic() - started < BUSY_MACHINE_S
    assert value("cache_writes", result="dropped") - dropped >= 4_000


def test_closing_is_bounded_whatever_hangs(server: PrivateValkey, cache: Callable[..., Cache]) -> None:
    one = cache(server.url)
    keys = remember(one)
    server.hang()
    one.put_many((key, ANSWERS[0]) for key in keys_of(one, 5_000))
    assert one.get_many(keys) == {}
    started = time.monotonic()
    one.close(0.5)
    assert time.monotonic() - started < 0.5 + 2 * BUSY_MACHINE_S


def test_threads_and_descriptors_are_given_back_after_many_faults(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    def resources() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts, names none

    before = resources()
    one = cache(server.url)
    for _ in range(5):
        server.kill()
        look_up_for(0.05, one, keys_of(one))
        server.start()
        server.hang()
        look_up_for(0.6, one, keys_of(one))
        server.wake()
        remember(one)
    assert resources()[0] <= before[0] + 2
    one.close(5.0)
    wait_until(lambda: resources() <= before)
