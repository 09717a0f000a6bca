"""The broker that librdkafka has inside it: answers the client's own requests truly, on a socket of this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

TOPIC = "t"


@contextmanager
def mock_broker() -> Iterator[str]:
    """Its address, and one record on `TOPIC`; it lives as long as the client that made it."""
    with Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0}) as producer:
        (broker,) = producer.list_topics(timeout=10).brokers.values()
        producer.produce(TOPIC, b"v", partition=0)
        assert producer.flush(10) == 0
        yield f"{broker.host}:{broker.port}"
