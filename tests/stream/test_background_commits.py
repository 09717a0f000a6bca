"""Commits in the background, against the broker that librdkafka has inside it: a refusal is counted and logged."""

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from structlog.testing import capture_logs

from tests.stream.mock_broker import TOPIC, mock_broker
from worker.settings import Settings
from worker.stream.config import consumer_config, open_consumer
from worker.stream.offsets import commit_answered
from worker.telemetry import metrics

NO_SUCH_PARTITION = 99


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    """The worker's consumer, with partitions assigned by hand."""
    with mock_broker() as address:
        settings = Settings.model_validate({"kafka": {"bootstrap_servers": address}})
        opened = open_consumer(consumer_config(settings) | {"log_level": 0})
        opened.assign([TopicPartition(TOPIC, 0, 0), TopicPartition(TOPIC, NO_SUCH_PARTITION, 0)])
        yield opened
        opened.close()


def failed_commits() -> float:
    return metrics.REGISTRY.get_sample_value("tagline_commits_total", {"result": "failed"}) or 0.0


def poll_until(consumer: Consumer, done: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "waited too long"
        consumer.poll(0.05)


def test_a_commit_in_the_background_that_is_refused_is_counted_and_logged(consumer: Consumer) -> None:
    before = failed_commits()
    consumer.store_offsets(offsets=[TopicPartition(TOPIC, NO_SUCH_PARTITION, 7)])
    with capture_logs() as logs:
        consumer.commit(asynchronous=True)  # raises nothing
        poll_until(consumer, lambda: failed_commits() == before + 1)
    (line,) = [line for line in logs if line["event"] == "offsets not committed"]
    assert (line["log_level"], line["error"]) == ("warning", "UNKNOWN_TOPIC_OR_PART")


def test_a_commit_that_is_taken_and_one_of_nothing_are_no_failures(consumer: Consumer) -> None:
    before = failed_commits()
    consumer.store_offsets(offsets=[TopicPartition(TOPIC, 0, 1)])
    consumer.commit(asynchronous=True)
    committed = TopicPartition(TOPIC, 0)
    poll_until(consumer, lambda: consumer.committed([committed], timeout=5)[0].offset == 1)
    consumer.commit(asynchronous=True)
    for _ in range(10):
        consumer.poll(0.05)
    assert failed_commits() == before


def test_one_partition_of_several_refused_is_a_failure() -> None:
    before = failed_commits()
    refused = SimpleNamespace(error=KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    commit_answered(None, [TopicPartition(TOPIC, 0, 5), cast("TopicPartition", refused)])
    assert failed_commits() == before + 1
