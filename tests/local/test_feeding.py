"""`tagline local feed` on a real broker, and on a client whose queue is full."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.conftest import wait_for_leaders
from worker.cli import main
from worker.contracts.topics import INPUT_TOPICS
from worker.errors import DependencyError, ExitCode
from worker.local import feeding
from worker.local.feed import feed
from worker.local.feeding import offer, send
from worker.settings import load

FULL_QUEUE = {
    "bootstrap.servers": "127.0.0.1:1",
    "queue.buffering.max.messages": 1,
    "message.timeout.ms": 100,
    "log_level": 0,
}
"""A producer that has room for one record, which it can never deliver, so it gives the room back after a moment."""


@pytest.fixture
def inputs(bootstrap: str, admin: AdminClient) -> AdminClient:
    """A client of a broker that has the topics."""
    assert main(["topics", "create"]) == ExitCode.OK
    wait_for_leaders(admin, INPUT_TOPICS)
    return admin


def records_in(admin: AdminClient) -> int:
    known = admin.list_topics(timeout=10).topics
    wanted = {
        TopicPartition(topic, number): OffsetSpec.latest()
        for topic in INPUT_TOPICS
        for number in known[topic].partitions
    }
    return sum(future.result().offset for future in admin.list_offsets(wanted).values())


@pytest.mark.integration
def test_it_sends_as_many_as_asked(inputs: AdminClient, capsys: pytest.CaptureFixture[str]) -> None:
    before = records_in(inputs)
    assert main(["local", "feed", "--rate", "1000", "--count", "250"]) == ExitCode.OK
    assert records_in(inputs) - before == 250
    assert "250 events sent" in capsys.readouterr().err


@pytest.mark.integration
def test_told_to_stop_it_ends_in_order_and_says_how_many_it_sent(inputs: AdminClient) -> None:
    before = records_in(inputs)
    feeding = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "local", "feed", "--rate", "200"],
        env=os.environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    while records_in(inputs) == before:
        assert feeding.poll() is None
    feeding.send_signal(signal.SIGTERM)
    _, said = feeding.communicate(timeout=30)
    assert feeding.returncode == ExitCode.OK, said
    assert f"{records_in(inputs) - before} events sent" in said


def test_a_broker_that_is_away_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    nowhere = load({"kafka.bootstrap_servers": "127.0.0.1:1", "kafka.message_timeout_s": 1.0}, environ={})
    with pytest.raises(DependencyError, match="1 of 1 events were not delivered"):
        send(nowhere, rate_per_s=1_000, count=1, seed=1, progress=lambda _: None)
    assert capfd.readouterr().err == ""


def test_a_record_that_the_full_queue_does_not_take_is_offered_again() -> None:
    reports: list[object] = []
    producer = Producer(FULL_QUEUE)
    first, second = feed(1, 2)
    assert offer(producer, first)
    assert not offer(producer, second)

    deadline = time.monotonic() + 10
    while not offer(producer, second, lambda error, _: reports.append(error)):
        assert time.monotonic() < deadline
    producer.flush(10)
    assert len(reports) == 1


def test_a_queue_that_stays_full_does_not_keep_the_feed_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = Producer(FULL_QUEUE | {"message.timeout.ms": 20_000})
    monkeypatch.setattr(feeding, "open_producer", lambda _: producer)
    monkeypatch.setattr(feeding, "_FLUSH_TIMEOUT_S", 0.1)
    said: list[str] = []
    terminal = threading.Timer(0.3, signal.raise_signal, [signal.SIGTERM])
    terminal.start()
    began = time.monotonic()
    try:
        with pytest.raises(DependencyError, match="1 of 1 events were not delivered"):
            send(load(environ={}), rate_per_s=1_000, count=None, seed=1, progress=said.append)
    finally:
        terminal.cancel()  # or it would end pytest
    assert time.monotonic() - began < 10
    assert said == ["stopping"]
    producer.purge()
