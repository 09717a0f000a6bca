"""Messages as the producer takes them, and the CloudEvents headers they carry.

Binary mode, because in it an event without data is a tombstone on a compacted topic; in structured mode it is not.
"""

from datetime import UTC, datetime
from typing import NamedTuple

CONTENT_TYPE = b"application/json"


class Coordinates(NamedTuple):
    """Where an input record lies."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    """The record's Kafka timestamp; None when the broker has none."""


class OutboundMessage(NamedTuple):
    """One message to produce. Header values are None only in dead letters, where the original's were."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def dataschema(type_name: str, major: int) -> str:
    """The name of a message's schema, which ``schemas.resolve`` finds and ``tagline contracts export`` writes."""
    return f"urn:tagline:schema:{type_name}:{major}"


def type_headers(ce_source: str, type_name: str, major: int) -> tuple[tuple[str, bytes], ...]:
    """The headers that every message of one type shares; made once."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_source", ce_source.encode()),
        ("ce_type", type_name.encode()),
        ("ce_dataschema", dataschema(type_name, major).encode()),
        ("content-type", CONTENT_TYPE),
    )


def ce_time(now: datetime | None = None) -> bytes:
    """The publish time for ``ce_time``: RFC 3339, UTC, milliseconds. Make one a micro-batch, not one a message."""
    now = datetime.now(UTC) if now is None else now.astimezone(UTC)
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z".encode()
