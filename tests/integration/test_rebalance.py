"""Groups in motion: members come and go under load, partitions are revoked in mid-batch, and a zombie comes back."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from tests.integration.arena import Arena, WorkerProcess, listing, review
from tests.integration.judge import committed_now, judge, offsets_are_not_ahead
from worker.contracts.topics import INPUT_TOPICS
from worker.errors import ExitCode

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MODES = pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])


@contextmanager
def steady_feed(arena: Arena) -> Iterator[None]:
    """Reviews and listings, some 400 a second, while the body runs; all acknowledged at its end."""
    done = threading.Event()

    def feed() -> None:
        number = 0
        while not done.wait(0.025):
            for _ in range(8):
                number += 1
                arena.feed_event(review(number, f"review {number}"))
            arena.feed_event(listing(number, f"title {number}"))
            arena.settle_feed()

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def owning(worker: WorkerProcess, times: int = 1) -> WorkerProcess:
    """The worker, once it was given partitions."""
    worker.wait_for_log("partitions assigned", times=times)
    return worker


@MODES
@PROTOCOLS
def test_members_join_and_leave_under_load_and_nothing_comes_twice(
    arena: Arena, mode: str, protocol: str
) -> None:
    settings = {"DELIVERY": mode, "KAFKA_GROUP_PROTOCOL": protocol, "WINDOW_MAX_RECORDS": "30"}
    with steady_feed(arena):
        first = owning(arena.worker("--delay", "0.02", **settings))
        second = owning(arena.worker("--delay", "0.02", **settings))
        arena.wait(lambda: len(arena.outcomes()) > 100, 30, "no work done by two")
        assert first.stop() == ExitCode.OK
        third = owning(arena.worker("--delay", "0.02", **settings))
        assert second.stop() == ExitCode.OK
        seen = len(arena.seen)
        arena.wait(lambda: len(arena.seen) > seen + 100, 30, "no work done by the last")
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert third.stop() == ExitCode.OK
    judge(arena)


@MODES
@PROTOCOLS
def test_what_is_in_flight_is_finished_before_its_partitions_are_given_up(
    arena: Arena, mode: str, protocol: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    settings = {"DELIVERY": mode, "KAFKA_GROUP_PROTOCOL": protocol, "WINDOW_MAX_RECORDS": "100"}
    for number in range(20 * 6):
        arena.feed_event(review(number, f"review {number}"), partition=number % 6)
        arena.feed_event(listing(number, f"title {number}"), partition=number % 6)
    arena.settle_feed()
    first = owning(arena.worker("--gate", str(gate), **settings))
    first.wait_for_log("IN FORWARD")
    second = arena.worker(**settings)
    second.wait_for_log("worker started")
    time.sleep(1.5)  # the rebalance begins, and waits for the forward
    assert "partitions revoked" not in first.log()
    assert '"owned":6' not in second.log()
    gate.unlink()
    first.wait_for_log("partitions revoked")
    offsets_are_not_ahead(arena)
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    second.wait_for_log('"owned":6')
    assert first.stop() == second.stop() == ExitCode.OK
    judge(arena)


@MODES
def test_a_zombie_that_wakes_up_commits_nothing(arena: Arena, mode: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    settings = {"DELIVERY": mode, "WINDOW_MAX_RECORDS": "20", "KAFKA_SESSION_TIMEOUT_S": "1.5"}
    point = {
        "at_least_once": "between acknowledgement and commit",
        "exactly_once": "between produce and acknowledgement",
    }[mode]
    zombie = owning(arena.worker("--gate", str(gate), "--stop", point, **settings))
    arena.feed_reviews(300)
    zombie.wait_for_log("IN FORWARD")
    successor = arena.worker(**settings)
    successor.wait_for_log("worker started")
    time.sleep(1)  # the zombie is asked to give partitions up, and waits for its forward
    gate.unlink()
    zombie.wait_for_log(f"FAULT AT {point}")  # it was about to commit, and stops
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    committed = committed_now(arena)

    zombie.send(signal.SIGCONT)
    zombie.wait_for_log({"at_least_once": "offsets not committed", "exactly_once": "rolled back"}[mode])
    zombie.wait_for_log('"owned":6')
    assert committed_now(arena) == committed, "I7: the zombie's commit was taken"
    arena.feed_reviews(200, lambda n: f"after the zombie woke up {n}")
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert zombie.stop() == successor.stop() == ExitCode.OK
    judge(arena, allow_duplicates=mode == "at_least_once")
