"""Kafka or Redis away, in the way, or not as they should be: the worker waits, or ends and says why; nothing is lost."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from tests.conftest import wait_for_leaders
from tests.fake_engine import answer
from tests.hurt import kill_broker, pause_broker, resume_broker
from tests.integration.arena import OUTPUT_TOPICS, Arena, WorkerProcess, review
from tests.integration.judge import committed_now, judge, offsets_are_not_ahead
from tests.integration.own_stack import stack_of_our_own
from tests.integration.redis_faults import PrivateValkey
from worker.cli import main
from worker.contracts.topics import ADS_SIGNALS, RANKING_SIGNALS, REVIEWS_POSTED, TOPICS
from worker.errors import ExitCode
from worker.local.stack import KAFKA_VARIABLE, Stack

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MODES = pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One for all tests here."""
    with stack_of_our_own(tmp_path_factory.mktemp("own")) as stack:
        yield stack


@pytest.fixture
def own_arena(own_stack: Stack, tmp_path: Path) -> Iterator[Arena]:
    """An arena there, without Redis."""
    arena = Arena(own_stack.addresses().bootstrap_servers, None, tmp_path)
    yield arena
    arena.close()


def in_mid_stream(arena: Arena, mode: str, **settings: str) -> WorkerProcess:
    """A worker with much to do that has begun."""
    arena.feed_reviews(1_500)
    worker = arena.worker("--delay", "0.05", DELIVERY=mode, WINDOW_MAX_RECORDS="20", **settings)
    arena.wait(lambda: len(arena.outcomes()) > 100, 30, "the worker did not begin")
    return worker


def finishes(arena: Arena, worker: WorkerProcess, mode: str) -> None:
    before = len(arena.outcomes())
    assert before < 1_200, "there was nothing left to do"
    arena.wait_for_outcomes(90)
    arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    judge(arena, allow_duplicates=mode == "at_least_once")


@MODES
def test_a_broker_that_is_killed_and_comes_back_costs_only_time(
    own_stack: Stack, own_arena: Arena, mode: str
) -> None:
    worker = in_mid_stream(own_arena, mode, KAFKA_TRANSACTION_TIMEOUT_S="8")
    kill_broker(own_stack)
    time.sleep(1)
    own_stack.up(lambda _: None)
    finishes(own_arena, worker, mode)


def test_a_broker_that_hangs_for_longer_than_the_session_costs_only_time(
    own_stack: Stack, own_arena: Arena
) -> None:
    mode = "exactly_once"
    worker = in_mid_stream(own_arena, mode, KAFKA_SESSION_TIMEOUT_S="1.5")
    pause_broker(own_stack)
    time.sleep(4)
    resume_broker(own_stack)
    finishes(own_arena, worker, mode)


def test_a_stop_while_the_broker_hangs_ends_in_time_and_loses_nothing(
    own_stack: Stack, own_arena: Arena
) -> None:
    worker = in_mid_stream(own_arena, "at_least_once", LIMITS_DRAIN_TIMEOUT_S="1")
    pause_broker(own_stack)
    try:
        time.sleep(0.5)
        assert worker.stop() == ExitCode.DRAIN
    finally:
        resume_broker(own_stack)
    own_arena.worker()
    own_arena.wait_for_outcomes(90)
    judge(own_arena, allow_duplicates=True)


def test_an_offset_that_is_no_longer_there_is_an_error_and_never_skipped(own_arena: Arena) -> None:
    before = committed_now(own_arena)
    own_arena.feed_reviews(200)
    topic, partition, _ = own_arena.fed[0]
    last = max(offset for t, p, offset in own_arena.fed if (t, p) == (topic, partition))
    admin = AdminClient({"bootstrap.servers": own_arena.bootstrap})
    for future in admin.delete_records([TopicPartition(topic, partition, last)]).values():
        assert future.result(20).low_watermark == last
    worker = own_arena.worker()
    assert worker.wait() == ExitCode.DATA
    assert "no longer in the topic" in worker.log()
    assert "reset-offsets" in worker.log()
    assert committed_now(own_arena)[topic, partition] == before[topic, partition]


def test_a_partition_that_is_added_is_read_from_its_beginning(own_arena: Arena) -> None:
    admin = AdminClient({"bootstrap.servers": own_arena.bootstrap})
    count = len(admin.list_topics(timeout=10).topics[REVIEWS_POSTED].partitions)
    worker = own_arena.worker(KAFKA_CLIENT_OPTIONS='{"topic.metadata.refresh.interval.ms": "500"}')
    worker.wait_for_log("partitions assigned")
    admin.create_partitions([NewPartitions(REVIEWS_POSTED, count + 1)])[REVIEWS_POSTED].result(20)
    wait_for_leaders(admin, [REVIEWS_POSTED])
    for number in range(50):
        own_arena.feed_event(review(number, f"review {number}"), partition=count)
    own_arena.settle_feed()
    own_arena.wait_for_outcomes()
    own_arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    judge(own_arena)


def test_a_missing_topic_is_named_with_the_command_that_makes_it(own_arena: Arena) -> None:
    admin = AdminClient({"bootstrap.servers": own_arena.bootstrap})
    admin.delete_topics([ADS_SIGNALS])[ADS_SIGNALS].result(20)
    try:
        worker = own_arena.worker()
        assert worker.wait() == ExitCode.DATA
    finally:
        declared = next(topic for topic in TOPICS if topic.name == ADS_SIGNALS)
        admin.create_topics([NewTopic(ADS_SIGNALS, declared.partitions, config=declared.config())])[
            ADS_SIGNALS
        ].result(20)
        wait_for_leaders(admin, [ADS_SIGNALS])
    assert f"topics are missing: {ADS_SIGNALS}" in worker.log()
    assert "tagline topics create" in worker.log()


@MODES
def test_an_output_that_is_deleted_ends_the_worker_and_its_successor_does_the_rest(
    own_stack: Stack, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = own_stack.addresses().bootstrap_servers
    arena = Arena(
        address, None, tmp_path, outputs=[topic for topic in OUTPUT_TOPICS if topic != RANKING_SIGNALS]
    )
    # At least once the client waits that long for a topic that is gone, in case it is about to be made.
    worker = in_mid_stream(arena, mode, KAFKA_CLIENT_OPTIONS='{"topic.metadata.propagation.max.ms": "2000"}')
    admin = AdminClient({"bootstrap.servers": address})
    admin.delete_topics([RANKING_SIGNALS])[RANKING_SIGNALS].result(20)
    try:
        assert worker.wait(120) == ExitCode.DATA
        offsets_are_not_ahead(arena)
    finally:
        monkeypatch.setenv(KAFKA_VARIABLE, address)
        assert main(["topics", "create"]) == ExitCode.OK
        wait_for_leaders(admin, [RANKING_SIGNALS])
    last_words = worker.log().rpartition("\nerror: ")[2]
    assert RANKING_SIGNALS in last_words
    assert "tagline topics create" in last_words
    left = set(arena.fed) - set(arena.outcomes())
    assert left, "it was done before the topic was deleted"
    signals = Arena(address, None, tmp_path, outputs=[RANKING_SIGNALS])
    try:
        finishes(arena, arena.worker(DELIVERY=mode), mode)
        signals.wait(lambda: left <= {one.source for one in signals.seen}, 30, "signals are missing")
    finally:
        signals.close()
        arena.close()


@MODES
def test_brokers_that_do_not_answer_at_the_start_are_an_error_of_their_own(arena: Arena, mode: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # nobody listens there from now on
    worker = arena.worker(
        *("--connect-timeout", "1.5"),
        DELIVERY=mode,
        KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{port}",
        KAFKA_TRANSACTION_TIMEOUT_S="1",
    )
    assert worker.wait(30) == ExitCode.DEPENDENCY
    assert "tagline doctor" in worker.log()


def test_outputs_do_not_depend_on_what_becomes_of_redis(arena: Arena, tmp_path: Path) -> None:
    redis = PrivateValkey(folder=tmp_path).start()
    texts = [f"review {number}" for number in range(100)]
    try:
        worker = arena.worker(
            REDIS_URL=redis.url, CACHE_MEMORY_ENTRIES="0", REDIS_BREAKER_OPEN_S="0.3", WINDOW_MAX_RECORDS="50"
        )
        feed_again(arena, texts)
        keys = wait_for_keys(redis, len(texts))
        redis.hang()
        feed_again(arena, texts)
        assert "redis" in worker.log()
        redis.wake()
        redis.kill()
        feed_again(arena, texts)
        redis.start()
        for key in keys:
            redis.client.set(key, b"\x00poison")
        time.sleep(0.5)  # the breaker tries again
        feed_again(arena, texts)
        assert "values in redis are not ours" in worker.log()
        assert worker.stop() == ExitCode.OK
    finally:
        redis.stop()
    judge(arena)
    for outputs in arena.outcomes().values():
        said = outputs[0].event["sentiment"]["probabilities"]
        number = int(outputs[0].event["review_id"][1:])
        assert (said["negative"], said["neutral"], said["positive"]) == answer(texts[number])


def feed_again(arena: Arena, texts: list[str]) -> None:
    arena.feed_reviews(len(texts), texts.__getitem__)
    arena.wait_for_outcomes()


def wait_for_keys(redis: PrivateValkey, count: int) -> list[bytes]:
    """The worker's keys, once the writer has written them all."""
    deadline = time.monotonic() + 10
    while len(keys := list(redis.client.scan_iter(count=1_000))) < count:
        assert time.monotonic() < deadline, f"only {len(keys)} keys"
        time.sleep(0.05)
    return keys
