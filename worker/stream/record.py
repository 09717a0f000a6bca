"""One record as it was read from Kafka."""

from operator import methodcaller
from typing import NamedTuple, cast

from confluent_kafka import Message

from worker.contracts.reasons import Reason

Partition = tuple[str, int]
"""Topic and partition number."""

Headers = list[tuple[str, bytes | None]]


class Fault(NamedTuple):
    """Why a record can only become a dead letter, without being looked at."""

    reason: Reason
    detail: str
    attempts: int = 1
    """How often it was tried before it was given up."""


class Record(NamedTuple):
    """A consumed record, byte for byte. A tuple, because one is made for every record on the hot path."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """The record's own time (milliseconds since the epoch); 0 when the producer gave none."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    fault: Fault | None = None
    """None for a record to be tagged."""

    @property
    def size(self) -> int:
        """Bytes of key, value and headers: what the watermarks count. About a microsecond; ask once."""
        size = len(self.value or b"") + len(self.key or b"")
        for name, value in self.headers:
            size += len(name) + (len(value) if value else 0)
        return size


_checked_headers = methodcaller("headers")
"""Calls ``headers()`` by a way on which the interpreter checks the result. When a name is not UTF-8 the client leaves its error
pending and returns a list with holes, which would crash whoever looks at them; called directly, that goes unnoticed."""


def from_message(message: Message) -> Record:
    """Copy a message of the client into a record. The message must carry no error."""
    fault = None
    try:
        headers = cast("Headers", _checked_headers(message) or [])
    except (UnicodeDecodeError, SystemError):
        headers, fault = [], Fault(Reason.UNREADABLE, "a header's name is not UTF-8")
    kind, timestamp_ms = message.timestamp()
    return Record(
        cast("str", message.topic()),
        cast("int", message.partition()),
        cast("int", message.offset()),
        max(0, timestamp_ms) if kind else 0,  # Kafka writes -1 where a producer gave none
        message.key(),
        message.value(),
        headers,
        fault,
    )


def unreadable(topic: str, partition: int, offset: int, fault: str, attempts: int) -> Record:
    """Stand in for a record that the client cannot decode: its coordinates, why, and how often it was read."""
    return Record(topic, partition, offset, 0, None, None, [], Fault(Reason.UNREADABLE, fault, attempts))
