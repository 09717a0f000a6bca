"""The guard: a loop that stands still is told from a process that was stopped."""

import pytest

from worker.pipeline.guard import Guard
from worker.telemetry.health import HealthState

STUCK_AFTER_S = 40.0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.monotonic", made)
    return made


@pytest.fixture
def health(clock: Clock) -> HealthState:
    return HealthState(stuck_after_s=STUCK_AFTER_S, clock=clock)


def looks(guard: Guard, clock: Clock, seconds: float) -> list[bool]:
    found = []
    for _ in range(int(seconds / guard.interval_s)):
        clock.now += guard.interval_s
        found.append(guard.standing())
    return found


def test_a_loop_that_turned_once_and_never_again_stands_still(health: HealthState, clock: Clock) -> None:
    guard = Guard(health, STUCK_AFTER_S)
    assert not any(looks(guard, clock, 10 * STUCK_AFTER_S)), "it has not begun to turn"
    health.progress(1)
    assert not any(looks(guard, clock, 2 * STUCK_AFTER_S))
    assert all(looks(guard, clock, STUCK_AFTER_S)[1:])


def test_a_loop_that_turns_slowly_does_not_stand_still(health: HealthState, clock: Clock) -> None:
    guard = Guard(health, STUCK_AFTER_S)
    for _ in range(10):
        health.progress(1)
        assert not any(looks(guard, clock, STUCK_AFTER_S))


def test_a_process_that_was_stopped_did_not_stand_still(health: HealthState, clock: Clock) -> None:
    guard = Guard(health, STUCK_AFTER_S)
    health.progress(1)
    assert not any(looks(guard, clock, STUCK_AFTER_S))
    clock.now += 1_000
    assert not guard.standing(), "the guard woke up first"
    health.progress(1)
    assert not any(looks(guard, clock, STUCK_AFTER_S))
