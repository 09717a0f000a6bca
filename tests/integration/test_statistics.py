"""Lag from what librdkafka really reports, committing by the consumer and, in transactions, by the producer."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.waiting import wait_until
from worker.telemetry import metrics
from worker.telemetry.statistics import observe_statistics

pytestmark = pytest.mark.integration

RECORDS = 100


@pytest.fixture
def topic(bootstrap: str, new_topic: Callable[..., str]) -> str:
    """A topic of this test's own, one partition, with a hundred records."""
    name = new_topic()
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(RECORDS):
        producer.produce(name, str(number))
    assert producer.flush(30) == 0
    return name


def lag(topic: str) -> float | None:
    return metrics.REGISTRY.get_sample_value("tagline_lag_records", {"topic": topic, "partition": "0"})


def open_consumer(bootstrap: str, topic: str) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest",
            "enable.auto.offset.store": False, "enable.auto.commit": False, "isolation.level": "read_committed",
            "statistics.interval.ms": 100, "stats_cb": observe_statistics,
        }
    )  # fmt: skip
    consumer.subscribe([topic])
    return consumer


def read(consumer: Consumer, count: int) -> None:
    deadline = time.monotonic() + 30
    while count:
        assert time.monotonic() < deadline
        count -= len(consumer.consume(count, 0.1))


@pytest.mark.parametrize("transactional", [False, True])
def test_lag_is_what_is_not_finished_yet(bootstrap: str, topic: str, transactional: bool) -> None:
    consumer = open_consumer(bootstrap, topic)
    read(consumer, 40)
    position = TopicPartition(topic, 0, 40)
    if transactional:
        producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.send_offsets_to_transaction([position], consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)
    else:
        consumer.store_offsets(offsets=[position])
        consumer.commit(asynchronous=False)
    consumer.pause([TopicPartition(topic, 0)])

    wait_until(lambda: consumer.poll(0.05) is None and lag(topic) == RECORDS - 40, 20)

    consumer.resume([TopicPartition(topic, 0)])
    consumer.seek(position)
    read(consumer, RECORDS - 40)
    if not transactional:
        consumer.store_offsets(offsets=[TopicPartition(topic, 0, RECORDS)])
    wait_until(lambda: consumer.poll(0.05) is None and lag(topic) == 0, 20)
    consumer.unsubscribe()
    wait_until(lambda: consumer.poll(0.05) is None and lag(topic) is None, 20)
    consumer.close()
