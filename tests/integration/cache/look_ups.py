"""How the tests of the cache put and look up, and what every look-up must keep to."""

import time
from collections.abc import Sequence

from tests.waiting import wait_until
from worker.cache.tiers import Cache, Remembered
from worker.telemetry import metrics

BUDGET_S = 0.05
BUSY_MACHINE_S = 1.0
"""On top of the budget, for any single look-up: two busy cores may take this long to run a thread."""
LEAST_PER_S = 5
"""Look-ups in a second at least, on average: unbounded waits (half a second each at best) would allow two."""
ANSWERS = [Remembered(0.25, 0.25, 0.5, truncated=False), Remembered(0.5, 0.0, 0.5, truncated=True)]


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
