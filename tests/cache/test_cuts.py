"""A call to Redis that goes on for ever is cut off, by whoever comes next."""

import threading
from typing import cast

import pytest

from worker.cache import redis, writer
from worker.cache.connection import RedisConnection
from worker.cache.guard import Guard


class Endless:
    """A connection whose calls go on until they are cut off."""

    def __init__(self) -> None:
        self.calls, self.cuts = 0, 0
        self.begun = threading.Event()
        self._cut = threading.Event()

    def call(self, _: object) -> list[object]:
        self.calls += 1
        self.begun.set()
        assert self._cut.wait(10), "nobody cut it off"
        self._cut.clear()
        raise ConnectionError

    def cut(self) -> None:
        self.cuts += 1
        self._cut.set()

    def close(self) -> None: ...


def test_a_look_up_is_cut_off_while_the_breaker_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    endless, guard = Endless(), Guard("read", failures=1, open_s=60)
    reader = redis.RedisReader(cast("RedisConnection", endless), guard, budget_s=0.001)
    assert reader.get_many([b"key"]) == []
    assert endless.begun.wait(10), "the thread had not run yet when the budget was spent"
    assert reader.get_many([b"key"]) == []
    assert endless.cuts == 0, "it is young"
    monkeypatch.setattr(redis, "CUT_AFTER_S", 0.0)
    assert reader.get_many([b"key"]) == []
    assert (endless.calls, endless.cuts) == (1, 1)
    reader.close(1)


def test_a_write_is_cut_off_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    endless, guard = Endless(), Guard("write", failures=1, open_s=60)
    one = writer.RedisWriter(cast("RedisConnection", endless), guard, b"tag", ttl_s=60, queue_entries=10)
    one.put_many([(b"first", bytes(13))])
    assert endless.begun.wait(10)
    one.put_many([(b"second", bytes(13))])
    assert endless.cuts == 0, "it is young"
    monkeypatch.setattr(writer, "CUT_AFTER_S", 0.0)
    one.put_many([(b"third", bytes(13))])
    assert endless.cuts == 1
    one.close(1)
    assert endless.calls == 1, "the breaker is open"
