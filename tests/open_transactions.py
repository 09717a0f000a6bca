"""Whether Kafka still holds a transaction open, as its readers see it."""

from collections.abc import Sequence

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec


def has_open_transactions(admin: AdminClient, topics: Sequence[str]) -> bool:
    """Whether a partition of these topics has records that `read_committed` may not see yet: after a commit too, until its
    markers stand there.
    """
    known = admin.list_topics(timeout=10).topics
    partitions = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
    written, readable = (
        {
            (at.topic, at.partition): future.result().offset
            for at, future in admin.list_offsets(
                dict.fromkeys(partitions, OffsetSpec.latest()), isolation_level=isolation
            ).items()
        }
        for isolation in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED)
    )
    return written != readable
