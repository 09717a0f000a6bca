"""Groups in motion: members come and go under load, partitions are revoked in mid-batch, and a zombie comes back."""

import json
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer

from tests.integration.arena import Arena, WorkerProcess, listing, review
from tests.integration.judge import committed_now, judge, offsets_are_not_ahead
from worker.contracts.topics import INPUT_TOPICS
from worker.errors import ExitCode

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MODES = pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
PARTITIONS = 6
"""Of each of the two input topics."""


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


def feed_every_partition(arena: Arena, records: int) -> None:
    """So many records for each, so that whatever is revoked has work in flight."""
    for number in range(records * PARTITIONS):
        arena.feed_event(review(number, f"review {number}"), partition=number % PARTITIONS)
        arena.feed_event(listing(number, f"title {number}"), partition=number % PARTITIONS)
    arena.settle_feed()


def owning(worker: WorkerProcess) -> WorkerProcess:
    """The worker, once it was given partitions."""
    worker.wait_for_log("partitions assigned")
    return worker


@pytest.mark.parametrize(("mode", "protocol"), [("at_least_once", "classic"), ("exactly_once", "consumer")])
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


@pytest.mark.parametrize(("mode", "protocol"), [("at_least_once", "consumer"), ("exactly_once", "classic")])
def test_what_is_in_flight_is_finished_before_its_partitions_are_given_up(
    arena: Arena, mode: str, protocol: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    settings = {"DELIVERY": mode, "KAFKA_GROUP_PROTOCOL": protocol, "WINDOW_MAX_RECORDS": "100"}
    feed_every_partition(arena, 20)
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
    settings = {"DELIVERY": mode, "WINDOW_MAX_RECORDS": "100", "KAFKA_SESSION_TIMEOUT_S": "1.5"}
    point = {
        "at_least_once": "between acknowledgement and commit",
        "exactly_once": "between produce and acknowledgement",
    }[mode]
    zombie = owning(arena.worker("--gate", str(gate), "--stop", point, **settings))
    feed_every_partition(arena, 20)
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


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_it_is_ready_when_the_group_has_said_what_it_reads(arena: Arena, protocol: str) -> None:
    settings = {"KAFKA_GROUP_PROTOCOL": protocol, "KAFKA_SESSION_TIMEOUT_S": "6", "TELEMETRY_PORT": "0"}
    first = owning(arena.worker(**settings))
    assert readiness(first) == {"ready": True, "model": True, "kafka": True, "group": True}
    second = arena.worker(**settings)
    second.wait_for_log("health and metrics served")
    first.send(signal.SIGSTOP)  # until its session ends, the others of a classic group wait for it
    second.wait_for_log("worker started")
    # A member without partitions is told nothing under the other protocol, so it does not wait to be told.
    assert readiness(second)["ready"] is (protocol == "consumer")
    owning(second)
    assert readiness(second)["group"]
    first.send(signal.SIGCONT)
    assert first.stop() == second.stop() == ExitCode.OK


def readiness(worker: WorkerProcess) -> dict[str, bool]:
    """What /readyz of a worker says."""
    served = re.search(r'"address":"([^"]+)"', worker.log())
    assert served is not None, worker.log()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://{served[1]}/readyz", timeout=5) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            found = json.load(refused)
    assert isinstance(found, dict)
    return found


def test_thirty_rebalances_leave_threads_descriptors_and_memory_as_they_were(arena: Arena) -> None:
    worker = owning(
        arena.worker(KAFKA_SESSION_TIMEOUT_S="1")
    )  # it hears of a rebalance within a third of that
    arena.feed_reviews(500)
    arena.wait_for_outcomes()
    for _ in range(3):
        one_joins_and_leaves(arena, worker)
    before, rebalances = held(worker), worker.log().count('"event":"partitions ')
    while worker.log().count('"event":"partitions ') < rebalances + 30:
        one_joins_and_leaves(arena, worker)
    after = held(worker)
    assert (after.threads, after.descriptors) <= (before.threads, before.descriptors + 2)
    assert after.resident_mb < before.resident_mb + 8
    arena.feed_reviews(100, lambda n: f"afterwards {n}")
    arena.wait_for_outcomes()
    assert worker.stop() == ExitCode.OK
    judge(arena)


def one_joins_and_leaves(arena: Arena, worker: WorkerProcess) -> None:
    """A guest takes half of the partitions and gives them back untouched."""
    whole = worker.log().count('"owned":12')
    guest = Consumer(
        {
            "bootstrap.servers": arena.bootstrap,
            "group.id": arena.group,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": 3_000,
            "heartbeat.interval.ms": 200,
            "enable.auto.commit": False,
        }
    )
    given: list[int] = []
    guest.subscribe(list(INPUT_TOPICS), on_assign=lambda _, partitions: given.append(len(partitions)))
    deadline = time.monotonic() + 20
    while not any(given):
        assert guest.poll(0.02) is None
        assert time.monotonic() < deadline, "the guest was given nothing"
    guest.close()
    worker.wait_for_log('"owned":12', times=whole + 1)


class Held(NamedTuple):
    """What a process holds."""

    threads: int
    descriptors: int
    resident_mb: float


def held(worker: WorkerProcess) -> Held:
    """From /proc, which costs the process nothing."""
    process = Path(f"/proc/{worker.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text("utf-8").splitlines())
    return Held(
        int(status["Threads"]), len(list((process / "fd").iterdir())), int(status["VmRSS"].split()[0]) / 1024
    )
