"""Redis refuses: it is full, read-only, or does not let us in. Reads go on where they may.

Each test requires that its fault happened, that no look-up takes longer than the budget, and that no wrong answer comes out.
"""

from collections.abc import Callable

import pytest
import redis.exceptions
import structlog.testing

from tests.integration.cache.look_ups import (
    ANSWERS,
    calls,
    found_again,
    keys_of,
    look_up_for,
    remember,
    value,
)
from tests.integration.redis_faults import PrivateValkey
from tests.waiting import wait_until
from worker.cache.tiers import Cache

pytestmark = pytest.mark.integration


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
