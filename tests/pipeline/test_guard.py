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
def health(clock: Clock) -> HealthState:  # in place before the state asks for the time
    return HealthState(stuck_after_s=STUCK_AFTER_S)


@pytest.fixture
def guard(health: HealthState) -> Guard:
    return Guard(health, STUCK_AFTER_S)


def looks(guard: Guard, health: HealthState, clock: Clock, seconds: float) -> list[bool]:
    found = []
    for _ in range(int(seconds / health.interval_s)):
        clock.now += health.interval_s
        found.append(guard.standing())
    return found


def test_a_loop_that_turned_once_and_never_again_stands_still(
    guard: Guard, health: HealthState, clock: Clock
) -> None:
    assert not any(looks(guard, health, clock, 10 * STUCK_AFTER_S)), "it has not begun to turn"
    health.progress(1)
    assert not any(looks(guard, health, clock, 2 * STUCK_AFTER_S))
    assert all(looks(guard, health, clock, STUCK_AFTER_S)[1:])


def test_a_loop_that_turns_slowly_does_not_stand_still(
    guard: Guard, health: HealthState, clock: Clock
) -> None:
    for _ in range(10):
        health.progress(1)
        assert not any(looks(guard, health, clock, STUCK_AFTER_S))


def test_a_process_that_was_stopped_did_not_stand_still(
    guard: Guard, health: HealthState, clock: Clock
) -> None:
    health.progress(1)
    assert not any(looks(guard, health, clock, STUCK_AFTER_S / 2))
    clock.now += 1_000
    assert not guard.standing(), "the guard woke up first"
    assert health.alive()[0], "or somebody who asks"
    health.progress(1)
    assert not any(looks(guard, health, clock, STUCK_AFTER_S))
