"""What a consumer group has committed, seen from outside."""

from collections.abc import Iterable

from confluent_kafka import Consumer, TopicPartition


def group_offsets(bootstrap: str, group: str, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """The group's committed offsets in topics, as they are, without waiting for open transactions; joins nothing.

    Not by the admin client: its question ends the process with a segmentation fault where the broker answers that it does
    not keep the group (librdkafka issue 5040), as a new one does while it makes the topic of offsets.

    Raises:
        KafkaException: nobody keeps the group yet.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "isolation.level": "read_uncommitted",
            "log_level": 2,
        }
    )
    try:
        known = consumer.list_topics(timeout=15).topics
        asked = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
        found = consumer.committed(asked, timeout=15)
    finally:
        consumer.close()
    return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}
