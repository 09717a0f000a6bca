"""Redis says what nobody put there, or forgets: a miss, never a wrong answer.

Each test requires that its fault happened, that no look-up takes longer than the budget, and that no wrong answer comes out.
"""

import threading
import time
from collections.abc import Callable

import pytest

from tests.integration.cache.look_ups import (
    ANSWERS,
    found_again,
    keys_of,
    look_up,
    look_up_for,
    remember,
    value,
)
from tests.integration.redis_faults import PrivateValkey, lying_server
from tests.waiting import wait_until
from worker.cache.key import Namer
from worker.cache.tiers import Cache
from worker.cache.value import pack, seal

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\xfe" * 100, b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"*0\r\n", b"*-1\r\n",
        b"*1\r\n$3\r\nabc\r\n", b"*2\r\n:1\r\n:2\r\n", b"*2\r\n$3\r\nabc\r\n$22\r\n0123456789012345678901\r\n",
        b"*2\r\n*0\r\n*-1\r\n", b"*1\r\n" * 5000, b"$99999999999\r\nabc", b"*99999999\r\n", b"$abc\r\n", b"*2\r\n-ERR x\r\n$-1\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n", b"-MOVED 1 1.2.3.4:5\r\n", b"%1\r\n+a\r\n+b\r\n", b"\r\n" * 100,
    ],
)  # fmt: skip
def test_garbage_is_a_miss(answer: bytes, cache: Callable[..., Cache]) -> None:
    with lying_server(answer) as (url, answered):
        one = cache(url)
        look_up_for(0.3, one, keys_of(one))
        assert answered() > 0
        one.put_many([(key, ANSWERS[0]) for key in keys_of(one)])
        look_up_for(0.1, one, keys_of(one))


def test_another_type_at_a_key_is_a_miss_for_that_key_alone(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    one = cache(server.url)
    keys = remember(one)
    server.client.delete(keys[0])
    server.client.lpush(keys[0], "a list")
    wait_until(lambda: look_up(one, keys) == {keys[1]: ANSWERS[1]})
    remember(one)
    found_again(one, keys)


def test_truncated_foreign_and_poisoned_values_are_misses(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    one = cache(server.url)
    keys = remember(one)
    good = server.client.get(keys[0])
    packed = pack(ANSWERS[1])
    assert isinstance(good, bytes)
    assert packed is not None
    forged = seal(packed, keys[0], Namer("identity", b"guess").tag_key)
    for poison in (
        good[:-1],
        good + b"x",
        b"",
        b"positive",
        b'{"label":"positive"}',
        server.client.get(keys[1]),
        forged,
    ):
        assert poison is not None
        server.client.set(keys[0], poison)
        rejected = value("cache_values_rejected")
        wait_until(lambda: look_up(one, keys) == {keys[1]: ANSWERS[1]})
        assert value("cache_values_rejected") > rejected


def test_flushall_under_load_costs_misses_only(server: PrivateValkey, cache: Callable[..., Cache]) -> None:
    one = cache(server.url)
    keys = remember(one, 200)
    stop = threading.Event()

    def put() -> None:
        while not stop.wait(0.002):
            one.put_many((key, ANSWERS[number % 2]) for number, key in enumerate(keys))

    writer = threading.Thread(target=put)
    writer.start()
    sizes = set()
    for _ in range(50):
        server.client.flushall()
        sizes.add(len(look_up(one, keys)))
        time.sleep(0.01)
    stop.set()
    writer.join()
    assert len(sizes) > 1, "some look-ups must have met an emptied server"
    found_again(one, keys)
