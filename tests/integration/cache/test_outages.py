"""Redis hangs, dies, is away or answers late: a look-up costs one budget at most and is a miss.

Each test requires that its fault happened, that no look-up takes longer than the budget, and that no wrong answer comes out.
"""

import time
from collections.abc import Callable

import pytest

from tests.integration.cache.look_ups import (
    calls,
    found_again,
    keys_of,
    look_up,
    look_up_for,
    remember,
)
from tests.integration.redis_faults import PrivateValkey, SlowProxy
from tests.waiting import wait_until
from worker.cache.tiers import Cache

pytestmark = pytest.mark.integration


def test_a_server_that_hangs_costs_one_budget_and_answers_again_when_it_wakes(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    one = cache(server.url)
    keys = remember(one)
    found_again(one, keys)
    timeouts = calls("read", "timeout")
    server.hang()

    look_up_for(1.5, one, keys)

    assert calls("read", "timeout") > timeouts
    server.wake()
    found_again(one, keys)


def test_a_first_connection_to_a_server_that_hangs_costs_one_budget(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    server.hang()
    timeouts = calls("read", "timeout")
    one = cache(server.url)
    look_up_for(1.0, one, keys_of(one))
    assert calls("read", "timeout") > timeouts


def test_the_breaker_spares_a_hung_server_and_tries_again(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    one = cache(server.url, breaker_failures=2, breaker_open_s=0.5)
    keys = remember(one)
    server.hang()
    bypassed = calls("read", "bypassed")
    wait_until(lambda: look_up(one, keys) == {} and calls("read", "bypassed") > bypassed)
    started = time.monotonic()
    for _ in range(100):
        one.get_many(keys)
    assert time.monotonic() - started < 0.5, "an open breaker costs nothing"
    server.wake()
    found_again(one, keys)


def test_a_server_that_dies_is_a_miss_until_it_is_back(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    one = cache(server.url)
    keys = remember(one)
    found_again(one, keys)
    errors = calls("read", "error")
    server.kill()

    look_up_for(0.5, one, keys)

    assert calls("read", "error") > errors
    server.start()
    assert look_up(one, keys) == {}, "it came back empty"
    remember(one)
    found_again(one, keys)


def test_a_server_that_is_down_at_start_is_used_once_it_is_up(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    server.kill()
    errors = calls("read", "error")
    one = cache(server.url)
    look_up_for(0.3, one, keys_of(one))
    assert calls("read", "error") > errors
    server.start()
    wait_until(lambda: look_up(one, keys_of(one)) == {} and remember(one))
    found_again(one, keys_of(one))


def test_a_host_that_does_not_exist_is_a_miss(cache: Callable[..., Cache]) -> None:
    one = cache("redis://no-such-host.invalid:6379/0")
    before = calls("read", "error") + calls("read", "timeout")
    look_up_for(0.3, one, keys_of(one))
    assert calls("read", "error") + calls("read", "timeout") > before


def test_late_answers_are_misses_and_never_taken_for_the_next_ones(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    keys = remember(cache(server.url), 40)
    proxy = SlowProxy(server.port)
    one = cache(proxy.url)
    proxy.delay_s = 0.15
    for first in range(20):
        # Each question is about other texts: an answer to the one before would be a wrong one.
        look_up(one, keys[first : first + 20], first)
        time.sleep(0.05)
    assert proxy.delayed > 3
    proxy.delay_s = 0.0
    found_again(one, keys)
    proxy.close()


def test_an_answer_in_drops_is_a_miss_and_is_cut_off(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    keys = remember(cache(server.url), 20)
    proxy = SlowProxy(server.port)
    proxy.drop_s = 0.05
    one = cache(proxy.url)

    look_up_for(4.0, one, keys)

    assert proxy.delayed > 0
    assert proxy.cut > 0, "each drop comes in time, so only a cut from outside ends the wait"
    proxy.drop_s = 0.0
    found_again(one, keys)
    proxy.close()
