"""Workers that share a Redis: what one learnt the others know, and strangers do not.

Each test requires that its fault happened, that no look-up takes longer than the budget, and that no wrong answer comes out.
"""

from collections.abc import Callable

import pytest

from tests.integration.cache.look_ups import (
    ANSWERS,
    found_again,
    keys_of,
    look_up,
    remember,
    value,
)
from tests.integration.redis_faults import PrivateValkey
from tests.waiting import wait_until
from worker.cache.tiers import Cache

pytestmark = pytest.mark.integration


def test_what_one_worker_learnt_another_knows(server: PrivateValkey, cache: Callable[..., Cache]) -> None:
    keys = remember(cache(server.url, ttl_s=1000), 500)

    found_again(other := cache(server.url), keys)

    assert look_up(other, keys).keys() == set(keys)
    assert {server.client.strlen(key) for key in keys} == {22}
    expiries = [server.client.ttl(key) for key in keys]
    assert all(890 <= expiry <= 1000 for expiry in expiries)
    assert len(set(expiries)) > 20, "they must not expire together"


def test_what_redis_answered_stays_in_memory(server: PrivateValkey, cache: Callable[..., Cache]) -> None:
    keys = remember(cache(server.url))
    with_memory = cache(server.url, memory=100)
    found_again(with_memory, keys)
    server.kill()
    assert len(look_up(with_memory, keys)) == 2


def test_a_worker_with_another_secret_neither_finds_nor_believes(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    keys = remember(cache(server.url))
    stranger = cache(server.url, secret="other")  # noqa: S106 # a key made up for tests
    rejected = value("cache_values_rejected")
    assert look_up(stranger, keys_of(stranger)) == {}
    assert value("cache_values_rejected") == rejected
    wait_until(lambda: look_up(stranger, keys) == {} and value("cache_values_rejected") > rejected)


def test_closing_writes_what_waits(server: PrivateValkey, cache: Callable[..., Cache]) -> None:
    one = cache(server.url)
    one.put_many((key, ANSWERS[0]) for key in keys_of(one, 5_000))
    one.close(10.0)
    assert server.client.dbsize() == 5_000
