"""Records that the client cannot decode, and how they are got past.

librdkafka reports a record batch that it cannot decode (a decompression bomb, a broken checksum) as an error at an offset,
and again at every poll: the partition would stand still for ever. An error that repeats at one offset is therefore taken
to belong to the record there, which becomes a dead letter of its coordinates only.
"""

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
    }
)


class UnreadableRecords:
    """Counts errors per offset. Owner thread only."""

    def __init__(self) -> None:
        self._seen: dict[Partition, tuple[int, int]] = {}

    def judge(self, message: Message) -> Record | None:
        """The stand-in for a record to pass over, or None when the error is to be waited out.

        Raises:
            TaglineError: the error will not go away by waiting (a missing topic, an offset out of range, no permission).
        """
        error = message.error()
        topic, number, offset = message.topic(), message.partition(), message.offset()
        if error is None or error.fatal() or error.code() in _OF_THE_SET_UP:
            raise kafka_error(error or KafkaError(KafkaError._FAIL), f"reading {topic} partition {number}")
        if (
            error.code() not in _OF_A_RECORD
            or topic is None
            or number is None
            or offset is None
            or offset < 0
        ):
            return None
        partition = (topic, number)
        last, count = self._seen.get(partition, (-1, 0))
        count = count + 1 if last == offset else 1
        self._seen[partition] = (offset, count)
        if count < REPEATS:
            return None
        del self._seen[partition]
        return unreadable(topic, number, offset, error.name())
