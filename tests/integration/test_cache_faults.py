"""The cache on a real Valkey that is hurt in every way of the fault matrix.

Each test requires that its fault happened, that no look-up takes longer than the budget, and that no wrong answer comes out.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import redis.exceptions
import structlog.testing
from pydantic import SecretStr

from tests.integration.redis_faults import PrivateValkey, SlowProxy, lying_server, wait_until
from worker.cache.key import Namer
from worker.cache.tiers import Cache, Remembered
from worker.cache.value import pack, seal
from worker.settings import CacheSettings, RedisSettings
from worker.telemetry import metrics

pytestmark = pytest.mark.integration

BUDGET_S = 0.05
BUSY_MACHINE_S = 1.0
"""On top of the budget, for any single look-up: two busy cores may take this long to run a thread."""
LEAST_PER_S = 5
"""Look-ups in a second at least, on average: unbounded waits (half a second each at best) would allow two."""
ANSWERS = [Remembered(0.25, 0.25, 0.5, truncated=False), Remembered(0.5, 0.0, 0.5, truncated=True)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., PrivateValkey]]:
    """Start a server with these options."""
    started: list[PrivateValkey] = []

    def start(*options: str) -> PrivateValkey:
        started.append(PrivateValkey(*options, folder=tmp_path))
        return started[-1].start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(start: Callable[..., PrivateValkey]) -> PrivateValkey:
    return start()


@pytest.fixture
def cache() -> Iterator[Callable[..., Cache]]:
    """Make a cache on a URL, without memory, so that every look-up needs Redis."""
    made: list[Cache] = []

    def make(url: str, *, memory: int = 0, secret: str = "s", **settings: object) -> Cache:  # noqa: S107 # a key made up for tests
        given = {"budget_ms": 1000 * BUDGET_S, "breaker_failures": 1000, "breaker_open_s": 0.2, **settings}
        made.append(
            Cache.from_settings(
                RedisSettings.model_validate({"url": SecretStr(url), **given}),
                CacheSettings(memory_entries=memory, secret=SecretStr(secret)),
                identity="identity",
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.close(1.0)


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"tagline_{name}_total", labels) or 0.0


def calls(side: str, result: str) -> float:
    return value("redis_calls", side=side, result=result)


def keys_of(cache: Cache, count: int = 2) -> list[bytes]:
    return [cache.key("review", str(number)) for number in range(count)]


def remember(cache: Cache, count: int = 2) -> list[bytes]:
    """Put answers and wait until Redis has them."""
    before, keys = value("cache_writes", result="stored"), keys_of(cache, count)
    cache.put_many((key, ANSWERS[number % 2]) for number, key in enumerate(keys))
    wait_until(lambda: value("cache_writes", result="stored") >= before + count)
    return keys


def look_up(cache: Cache, keys: Sequence[bytes], first: int = 0) -> dict[bytes, Remembered]:
    """Look up within the budget; whatever is found is what was put. `keys` are those of the texts from number `first` on."""
    started = time.monotonic()
    found = cache.get_many(keys)
    assert time.monotonic() - started < BUDGET_S + BUSY_MACHINE_S
    assert all(answer == ANSWERS[(first + keys.index(key)) % 2] for key, answer in found.items())
    return found


def look_up_for(seconds: float, cache: Cache, keys: Sequence[bytes]) -> None:
    """Look up again and again; nothing is found, and the waits are short on the whole."""
    deadline, turns = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        assert look_up(cache, keys) == {}
        turns += 1
        time.sleep(0.02)
    assert turns >= LEAST_PER_S * seconds


def found_again(cache: Cache, keys: Sequence[bytes]) -> None:
    wait_until(lambda: len(look_up(cache, keys)) == len(keys))


# -- what works -------------------------------------------------------------------------------------------------------


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


# -- not there, or not answering ------------------------------------------------------------------------------------------


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


# -- answering wrongly ------------------------------------------------------------------------------------------------------


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


# -- refusing ---------------------------------------------------------------------------------------------------------------


def test_a_full_server_refuses_writes_and_still_answers_reads(
    server: PrivateValkey, cache: Callable[..., Cache]
) -> None:
    one = cache(server.url)
    keys = remember(one)
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", "1")
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        server.client.set("x", "y")
    failed = value("cache_writes", result="failed")
    one.put_many([(key, ANSWERS[0]) for key in keys_of(one, 10)])
    wait_until(lambda: value("cache_writes", result="failed") >= failed + 10)
    found_again(one, keys)


def test_a_read_only_replica_answers_reads(
    start: Callable[..., PrivateValkey], cache: Callable[..., Cache]
) -> None:
    primary = start("--repl-diskless-sync-delay", "0")
    replica = start("--replicaof", "127.0.0.1", str(primary.port))
    keys = remember(cache(primary.url))
    wait_until(lambda: replica.client.dbsize() == 2)
    with pytest.raises(redis.exceptions.ReadOnlyError):
        replica.client.set("x", "y")

    one = cache(replica.url)
    found_again(one, keys)
    failed = value("cache_writes", result="failed")
    one.put_many([(key, ANSWERS[0]) for key in keys_of(one, 10)])
    wait_until(lambda: value("cache_writes", result="failed") >= failed + 10)
    assert replica.client.dbsize() == 2


@pytest.mark.parametrize("credentials", ["", ":wrong@", "nobody:wrong@", "reader:right@"])
def test_refused_credentials_are_loud_once_and_a_miss(
    credentials: str, start: Callable[..., PrivateValkey], cache: Callable[..., Cache]
) -> None:
    server = start(
        "--requirepass", "hunter2", "--user", "reader", "on", ">right", "~*", "-@all", "+ping", "+select"
    )
    refused, refused_writes = calls("read", "refused"), calls("write", "refused")
    with structlog.testing.capture_logs() as logged:
        one = cache(server.url.replace("//", f"//{credentials}"))
        look_up_for(0.5, one, keys_of(one))
        one.put_many([(key, ANSWERS[0]) for key in keys_of(one)])
        wait_until(lambda: calls("write", "refused") > refused_writes)
    assert calls("read", "refused") > refused
    errors = [line for line in logged if line["log_level"] == "error"]
    assert sorted(line["side"] for line in errors) == ["read", "write"]
    assert "refuses us" in errors[0]["event"]
    assert "right" not in str(logged)
    assert "wrong" not in str(logged)


def test_the_right_password_is_accepted(
    start: Callable[..., PrivateValkey], cache: Callable[..., Cache]
) -> None:
    server = start("--requirepass", "hunter2")
    one = cache(server.url.replace("//", "//:hunter2@"))
    found_again(one, remember(one))


# -- resources --------------------------------------------------------------------------------------------------------------


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
