"""Records that the client cannot decode, and how they are got past.

librdkafka cannot decode a record batch (a decompression bomb, a broken checksum) and says so with an error at the batch's first
offset, whichever of its records was asked for. After a broken checksum it would even go on with the next batch, and the
records of the broken one would be lost in silence. So reading goes back to the place where the error stands in the way; when
it stands there several times, the record there becomes a dead letter of its coordinates only, and reading goes on behind it.
The other records of the batch follow it one by one, without further tries.
"""

from collections.abc import Callable
from typing import NamedTuple

from confluent_kafka import KafkaError, Message

from worker.stream.errors import kafka_error
from worker.stream.record import Partition, Record, unreadable

REPEATS = 3
"""Errors at one offset before the record is passed over: a transfer that was damaged once is fetched again."""

# ruff: noqa: SLF001 - the codes that librdkafka raises itself are public, and begin with an underscore
_OF_A_RECORD = frozenset(
    {
        KafkaError._BAD_MSG,
        KafkaError._BAD_COMPRESSION,
        KafkaError._UNDERFLOW,
        KafkaError._NOT_IMPLEMENTED,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_RECORD,
    }
)
_OF_THE_SET_UP = frozenset(
    {
        KafkaError._AUTO_OFFSET_RESET,
        KafkaError.OFFSET_OUT_OF_RANGE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        # The group will never have us; the client would ask again for ever.
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.GROUP_MAX_SIZE_REACHED,
        KafkaError.INVALID_GROUP_ID,
        KafkaError.UNSUPPORTED_ASSIGNOR,
    }
)


class Damage(NamedTuple):
    """A place that could not be read."""

    partition: Partition
    read_from: int
    """Where to read on: the place itself for another try, or behind it."""
    record: Record | None
    """The stand-in of the record that is given up; None for another try."""


class UnreadableRecords:
    """Counts errors per place. Owner thread only."""

    def __init__(self) -> None:
        self._seen: dict[Partition, tuple[int, int]] = {}
        self._given_up: dict[Partition, int] = {}
        """First offset of the batch whose last record was given up."""

    def judge(self, message: Message, next_offset: Callable[[Partition], int | None]) -> Damage | None:
        """Where to read on after an error that belongs to records; None when the error is to be waited out.

        ``next_offset`` is that of the record to be read next, None where that is not known.

        Raises:
            TaglineError: the error will not go away by waiting (a missing topic, an offset out of range, no permission).
        """
        error = message.error()
        topic, number, offset = message.topic(), message.partition(), message.offset()
        if error is None or error.fatal() or error.code() in _OF_THE_SET_UP:
            where = f"reading {topic} partition {number}" if topic else "taking part in the group"
            raise kafka_error(error or KafkaError(KafkaError._FAIL), where)
        if (
            error.code() not in _OF_A_RECORD
            or topic is None
            or number is None
            or offset is None
            or offset < 0
        ):
            return None
        partition = (topic, number)
        place = max(offset, next_offset(partition) or 0)
        last, count = self._seen.get(partition, (-1, 0))
        count = count + 1 if last == place else 1
        given_up_before = offset < place and self._given_up.get(partition) == offset
        if count < REPEATS and not given_up_before:
            self._seen[partition] = (place, count)
            return Damage(partition, place, None)
        self._seen.pop(partition, None)
        self._given_up[partition] = offset
        return Damage(partition, place + 1, unreadable(topic, number, place, error.name(), count))
