"""A server of a test's own, and caches on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.integration.cache.look_ups import BUDGET_S
from tests.integration.redis_faults import PrivateValkey
from worker.cache.tiers import Cache
from worker.settings import CacheSettings, RedisSettings


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
