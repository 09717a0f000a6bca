"""Which topics there are, and which are merely hidden from us.

A broker leaves out of its list what the principal may not describe; only when asked for such a topic by its name does it say
that it may not tell. Without that question a missing permission would be taken for a missing topic.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException

from worker.stream.errors import kafka_error


class Described(NamedTuple):
    """What the cluster tells of some topics."""

    found: dict[str, Any]
    """The client's ``TopicMetadata`` by name."""
    missing: list[str]


def describe(consumer: Consumer, names: Sequence[str], *, timeout_s: float, doing: str) -> Described:
    """Ask for topics. Blocks for at most ``timeout_s``, and once more for each one that is not in the brokers' list.

    Asking creates nothing: a consumer's question never does.

    Raises:
        TaglineError: the cluster does not answer, refuses us, or may not tell us of one of them; met while ``doing``.
    """
    try:
        known = consumer.list_topics(timeout=timeout_s).topics
        found = {name: known[name] for name in names if name in known and known[name].error is None}
        missing = [name for name in names if name not in found]
        for name in missing:
            error = consumer.list_topics(name, timeout=timeout_s).topics[name].error
            if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise kafka_error(error, f"asking for {name}")
    except KafkaException as error:
        raise kafka_error(error, doing) from error
    return Described(found, missing)
