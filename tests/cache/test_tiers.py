"""The cache as the pipeline sees it, without Redis; what Redis does to it is in tests/integration/cache."""

from collections.abc import Sequence
from typing import cast

import pytest
from pydantic import SecretStr

from worker.cache.connection import RedisConnection
from worker.cache.key import Namer
from worker.cache.memory import MemoryTier
from worker.cache.redis import RedisReader
from worker.cache.tiers import Cache, Remembered
from worker.cache.value import pack, seal
from worker.errors import UsageError
from worker.settings import CacheSettings, RedisSettings
from worker.telemetry import metrics

ANSWER = Remembered(0.25, 0.25, 0.5, truncated=False)


def cache(**settings: object) -> Cache:
    return Cache.from_settings(RedisSettings(), CacheSettings.model_validate(settings), identity="identity")


def requests(tier: str, result: str) -> float:
    labels = {"tier": tier, "result": result}
    return float(metrics.REGISTRY.get_sample_value("tagline_cache_requests_total", labels) or 0)


def test_without_redis_the_memory_answers() -> None:
    with_memory = cache()
    known, unknown = with_memory.key("review", "good"), with_memory.key("review", "bad")
    with_memory.put_many([(known, ANSWER)])
    assert with_memory.get_many([known, unknown, known]) == {known: ANSWER}
    with_memory.close(1.0)


def test_every_distinct_text_looked_up_counts_once() -> None:
    one = cache()
    keys = [one.key("review", str(number)) for number in range(5)]
    one.put_many((key, ANSWER) for key in keys[:2])
    before = requests("memory", "hit"), requests("none", "miss")
    one.get_many([*keys, *keys])
    assert (requests("memory", "hit") - before[0], requests("none", "miss") - before[1]) == (2, 3)


def test_an_answer_that_packing_would_change_is_not_remembered() -> None:
    one = cache()
    key = one.key("review", "good")
    one.put_many([(key, Remembered(0.1, 0.2, 0.7, truncated=False))])  # not float32 values
    assert one.get_many([key]) == {}


def test_nothing_is_remembered_with_no_entries_and_no_redis() -> None:
    off = cache(memory_entries=0)
    key = off.key("review", "good")
    off.put_many([(key, ANSWER)])
    assert off.get_many([key]) == {}
    assert off.get_many([]) == {}


class Knowing:
    """A reader whose Redis knows every key."""

    def __init__(self, tag_key: bytes) -> None:
        self._tag_key = tag_key

    def get_many(self, keys: Sequence[bytes]) -> list[object]:
        packed = pack(ANSWER)
        assert packed is not None
        return [seal(packed, key, self._tag_key) for key in keys]


def test_what_redis_knew_counts_among_the_texts_in_memory() -> None:
    namer = Namer("identity", b"secret")
    one = Cache(namer, MemoryTier(100), cast("RedisReader", Knowing(namer.tag_key)))
    assert len(one.get_many([one.key("review", str(number)) for number in range(5)])) == 5
    assert metrics.REGISTRY.get_sample_value("tagline_cache_entries") == 5


@pytest.mark.parametrize(
    "url",
    [
        "http://host", "host:6379", "redis://host:port", "redis://:hunter2@host:99999999999/0",
        "redis://h?socket_timeout=100", "redis://h?retry_on_timeout=1", "redis://h?protocol=3", "redis://h?nonsense=1",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError, match="TAGLINE_REDIS_URL") as caught:
        RedisConnection(url, 1.0).call([(b"PING",)])
    assert "hunter2" not in str(caught.value)


def test_a_url_may_name_a_user_a_database_tls_or_a_socket() -> None:
    for url in (
        "redis://user:password@host:6379/3",
        "rediss://host:6380?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=true",
        "unix:///run/redis.sock?db=1",
    ):
        redis = RedisSettings(url=SecretStr(url))
        Cache.from_settings(redis, CacheSettings(), identity="identity").close(1.0)
