"""The circuit breaker and the guard around it, on a clock of the test's."""

from typing import Any

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from worker.cache.breaker import Breaker, State
from worker.cache.guard import Guard
from worker.telemetry import metrics


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def calls(side: str, result: str) -> float:
    return float(
        metrics.REGISTRY.get_sample_value("tagline_redis_calls_total", {"side": side, "result": result}) or 0
    )


def test_it_opens_after_failures_in_a_row_only(clock: Clock) -> None:
    breaker = Breaker(3, 5.0, clock)
    for failed in (True, True, False, True, True):
        assert breaker.allows()
        breaker.failed() if failed else breaker.succeeded()
    assert breaker.state is State.CLOSED
    breaker.failed()
    assert breaker.state is State.OPEN
    assert not breaker.allows()


def test_after_a_while_one_call_decides(clock: Clock) -> None:
    breaker = Breaker(1, 5.0, clock)
    breaker.failed()
    clock.now = 4.9
    assert not breaker.allows()
    clock.now = 5.0
    assert breaker.allows()
    assert breaker.state is State.HALF_OPEN
    breaker.failed()
    assert not breaker.allows(), "the trial failed: a whole period more"
    clock.now = 10.0
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.state is State.CLOSED
    assert breaker.allows()


@given(st.lists(st.one_of(st.booleans(), st.floats(0, 3))))
def test_it_never_lets_calls_through_sooner_than_its_period(steps: list[bool | float]) -> None:
    clock = Clock()
    breaker = Breaker(2, 5.0, clock)
    opened_at: float | None = None
    for step in steps:
        if isinstance(step, bool):
            if breaker.allows():
                assert opened_at is None or clock.now - opened_at >= 5.0
                breaker.succeeded() if step else breaker.failed()
                opened_at = clock.now if breaker.state is State.OPEN else None
        else:
            clock.now += step


def test_a_guard_counts_calls_and_shows_its_state(clock: Clock) -> None:
    before = {result: calls("read", result) for result in ("ok", "timeout", "bypassed")}
    guard = Guard("read", failures=2, open_s=5.0, clock=clock)
    guard.succeeded()
    for _ in range(2):
        assert guard.allows()
        guard.failed("timeout", "no answer in time")
    assert not guard.allows()
    assert {result: calls("read", result) - count for result, count in before.items()} == {
        "ok": 1, "timeout": 2, "bypassed": 1,
    }  # fmt: skip
    assert metrics.REGISTRY.get_sample_value("tagline_breaker_state", {"side": "read"}) == State.OPEN


def test_a_guard_logs_news_once_and_a_refusal_as_an_error(clock: Clock) -> None:
    guard = Guard("write", failures=100, open_s=5.0, clock=clock)
    with structlog.testing.capture_logs() as logged:
        for _ in range(10):
            guard.failed("error", "ConnectionError")
        for _ in range(10):
            guard.failed("refused", "AuthenticationError")
        for _ in range(10):
            guard.succeeded()
    told: list[tuple[Any, Any]] = [(line["log_level"], line.get("detail")) for line in logged]
    assert told == [("warning", "ConnectionError"), ("error", "AuthenticationError"), ("info", None)]
