"""Exactly once when a transaction goes wrong: fenced, timed out, or its answer lost. Nothing lost, nothing twice."""

import signal
import socket

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from tests.integration.arena import Arena, WorkerProcess
from tests.integration.judge import judge
from tests.loopback import DIRECT
from tests.open_transactions import has_open_transactions
from worker.errors import ExitCode

pytestmark = [pytest.mark.integration, pytest.mark.faults]

ANEW = "transactional producer made anew"


def finish(arena: Arena, worker: WorkerProcess) -> None:
    """Everything is done, once, and the worker is as well as before."""
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    judge(arena)


def test_a_fenced_worker_begins_anew_also_while_its_partitions_are_paused(arena: Arena) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    worker = arena.worker(
        *("--delay", "0.05"),
        DELIVERY="exactly_once",
        KAFKA_TRANSACTIONAL_ID=arena.group,
        WINDOW_MAX_RECORDS="20",
        WINDOW_HIGH_RECORDS="80",
        TELEMETRY_PORT=str(port),
    )
    arena.feed_reviews(1_200)
    arena.wait(lambda: paused_partitions(port) > 0, 20, "never paused")
    other = Producer({"bootstrap.servers": arena.bootstrap, "transactional.id": arena.group})
    other.init_transactions(10)
    assert len(arena.outcomes()) < 1_000, "too late to fence"
    worker.wait_for_log(ANEW)
    finish(arena, worker)


def paused_partitions(port: int) -> float:
    """The worker's own count; 0 while it does not answer yet."""
    try:
        with DIRECT.open(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0
    return next(float(line.split()[1]) for line in lines if line.startswith("tagline_paused_partitions "))


def test_a_transaction_that_the_broker_timed_out_is_done_again(arena: Arena) -> None:
    point = "between acknowledgement and commit"
    worker = arena.worker(
        *("--stop", point, "--after", "3"),
        DELIVERY="exactly_once",
        WINDOW_MAX_RECORDS="20",
        KAFKA_TRANSACTION_TIMEOUT_S="2",
        KAFKA_SESSION_TIMEOUT_S="30",
    )
    arena.feed_reviews(200)
    worker.wait_for_log(f"FAULT AT {point}")
    # Not for so many seconds: a busy broker looks late for transactions that are over time, and this one would be committed.
    # It stands among the offsets; among the outputs only where they were sent before the worker stopped.
    with AdminClient({"bootstrap.servers": arena.bootstrap}) as admin:
        arena.wait(lambda: not has_open_transactions(admin, ["__consumer_offsets"]), 25, "nothing is aborted")
    worker.send(signal.SIGCONT)
    worker.wait_for_log("transaction rolled back")
    finish(arena, worker)


@pytest.mark.parametrize("point", ["between acknowledgement and commit", "after the end of the transaction"])
def test_a_transaction_whose_outcome_is_unknown_is_resolved_by_a_new_producer(
    arena: Arena, point: str
) -> None:
    worker = arena.worker(
        *("--time-out", point, "--after", "3"), DELIVERY="exactly_once", WINDOW_MAX_RECORDS="20"
    )
    arena.feed_reviews(200)
    worker.wait_for_log(f"FAULT AT {point}")
    worker.wait_for_log(ANEW)
    finish(arena, worker)
