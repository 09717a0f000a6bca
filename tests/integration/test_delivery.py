"""Both delivery modes when nothing goes wrong, and every way of being told to stop."""

import json
import signal
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.fake_engine import POISON
from tests.integration.arena import Arena, WorkerProcess, listing, review
from tests.integration.judge import committed_now, judge, offsets_are_not_ahead
from worker.contracts.topics import LISTINGS_CREATED, REVIEWS_POSTED, REVIEWS_TAGGED
from worker.errors import ExitCode

pytestmark = pytest.mark.integration

MODES = pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])


@MODES
def test_every_record_is_accounted_for_once_in_order_and_committed(arena: Arena, mode: str) -> None:
    for number in range(600):
        arena.feed_event(review(number, f"review {number % 400}"))
        if number % 3 == 0:
            arena.feed_event(listing(number, f"title {number}"))
        if number % 50 == 0:
            arena.feed(REVIEWS_POSTED, b"{broken", b"l%d" % (number % 7))
            arena.feed(LISTINGS_CREATED, b'{"title": 1}', None)
    arena.feed_event(review(1_000, f"{POISON} for the model, fine for the eye"))
    arena.settle_feed()
    worker = arena.worker(DELIVERY=mode, WINDOW_MAX_RECORDS="50")
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    judge(arena)
    reasons = [one.headers["dlq.reason"] for one in arena.seen if one.topic.endswith(".dlq.v1")]
    assert {reason: reasons.count(reason) for reason in set(reasons)} == {
        b"not_json": 12,
        b"missing_field": 12,
        b"unclassifiable": 1,
    }


@MODES
def test_a_transaction_marker_behind_the_last_record_is_no_lag(arena: Arena, mode: str) -> None:
    """Producers that write in transactions, `tagline dlq redrive` among them, leave one there."""
    worker = arena.worker(DELIVERY=mode)
    worker.wait_for_log("partitions assigned")
    producer = Producer({"bootstrap.servers": arena.bootstrap, "transactional.id": arena.group})
    producer.init_transactions(20)
    for _ in range(2):
        producer.begin_transaction()
        for number in range(20):
            event = review(number, f"review {number}")
            producer.produce(REVIEWS_POSTED, json.dumps(event), event["listing_id"])
        producer.commit_transaction(20)
    producer.close()
    ends = {(p.topic, p.partition): p.offset for p in arena._ends([REVIEWS_POSTED])}
    arena.wait(
        lambda: all(arena.committed()[partition] == end for partition, end in ends.items()),
        30,
        "lag at the end",
    )
    assert worker.stop() == ExitCode.OK
    arena.read(1)
    tagged = [one for one in arena.seen if one.topic == REVIEWS_TAGGED]
    assert len(tagged) == 40


@MODES
def test_committed_offsets_never_go_back_where_inputs_are_written_in_transactions(
    arena: Arena, mode: str
) -> None:
    """A marker's offset, committed beside the records' own, came late and took the group back behind them."""
    worker = arena.worker(DELIVERY=mode)
    worker.wait_for_log("partitions assigned")
    in_transactions = Producer({"bootstrap.servers": arena.bootstrap, "transactional.id": arena.group})
    in_transactions.init_transactions(20)
    plain = Producer({"bootstrap.servers": arena.bootstrap})
    highest: dict[tuple[str, int], int] = {}

    def look() -> None:
        for partition, offset in arena.committed().items():
            assert offset >= highest.get(partition, 0), f"{partition} went back"
            highest[partition] = offset

    for number in range(8):
        in_transactions.begin_transaction()
        event = review(2 * number, f"review {2 * number}")
        in_transactions.produce(REVIEWS_POSTED, json.dumps(event), "one key")
        in_transactions.commit_transaction(20)
        time.sleep(0.1)  # the end behind the marker is told, and its commit is on its way
        event = review(2 * number + 1, f"review {2 * number + 1}")
        plain.produce(REVIEWS_POSTED, json.dumps(event), "one key")
        plain.flush(20)
        for _ in range(4):
            time.sleep(0.1)
            look()
    in_transactions.close()
    plain.close()
    assert worker.stop() == ExitCode.OK
    look()
    successor = arena.worker(DELIVERY=mode)
    successor.wait_for_log("partitions assigned")
    assert successor.stop() == ExitCode.OK
    arena.read(1)
    tagged = [one for one in arena.seen if one.topic == REVIEWS_TAGGED]
    assert len(tagged) == 16


@MODES
def test_a_worker_that_is_idle_ends_with_0_on_sigterm(arena: Arena, mode: str) -> None:
    worker = arena.worker(DELIVERY=mode)
    worker.wait_for_log("partitions assigned")
    assert worker.stop() == ExitCode.OK


@MODES
def test_sigterm_in_mid_batch_finishes_and_commits_what_is_in_flight(
    arena: Arena, mode: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    worker = arena.worker("--gate", str(gate), DELIVERY=mode, WINDOW_MAX_RECORDS="20")
    arena.feed_reviews(200)
    worker.wait_for_log("IN FORWARD")
    worker.send(signal.SIGTERM)
    worker.wait_for_log("stopping")
    gate.unlink()
    assert worker.wait() == ExitCode.OK
    committed = offsets_are_not_ahead(arena)
    published = set(arena.outcomes())
    assert published, "nothing was in flight"
    assert len(published) < len(arena.fed), "everything was already done"
    assert published == {source for source in arena.fed if source[2] < committed[source[:2]]}
    arena.worker(DELIVERY=mode)
    arena.wait_for_outcomes()
    judge(arena)


def test_a_second_sigterm_ends_the_drain_with_130_and_commits_nothing(arena: Arena, tmp_path: Path) -> None:
    before = committed_now(arena)
    worker = stopping_in_a_forward(arena, tmp_path, DELIVERY="exactly_once")
    worker.send(signal.SIGTERM)
    assert worker.wait(5) == ExitCode.KILLED
    assert committed_now(arena) == before
    a_successor_does_it_all(arena, "exactly_once")


def test_a_drain_that_takes_too_long_ends_with_7_and_commits_nothing(arena: Arena, tmp_path: Path) -> None:
    before = committed_now(arena)
    worker = stopping_in_a_forward(arena, tmp_path, DELIVERY="at_least_once", LIMITS_DRAIN_TIMEOUT_S="1")
    assert worker.wait(15) == ExitCode.DRAIN
    assert "still in flight after 1 s" in worker.log()
    assert committed_now(arena) == before
    a_successor_does_it_all(arena, "at_least_once")


def stopping_in_a_forward(arena: Arena, folder: Path, **settings: str) -> WorkerProcess:
    """A worker that was told to stop and cannot, because its forward does not end."""
    gate = folder / "gate"
    gate.touch()
    arena.feed_reviews(50)
    worker = arena.worker("--gate", str(gate), **settings)
    worker.wait_for_log("IN FORWARD")
    worker.send(signal.SIGTERM)
    worker.wait_for_log("stopping")
    return worker


def a_successor_does_it_all(arena: Arena, mode: str) -> None:
    arena.worker(DELIVERY=mode)
    arena.wait_for_outcomes()
    judge(arena)
