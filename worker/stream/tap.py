"""Watch topics without taking part: what `tagline tap` shows, and which of it. Pure but for `follow`."""

import base64
import json
import time
from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from typing import Any

from worker.contracts.deadletter import read_dead_letter
from worker.errors import UsageError
from worker.settings import Settings
from worker.stream.escape import printable
from worker.stream.reading import Reader, end_positions
from worker.stream.record import Record

_GROUP = "tagline-tap"
_SHOWN_FIELDS = (
    "sentiment.label",
    "sentiment.confidence",
    "tone",
    "polarity",
    "confidence",
    "eligible",
    "severity",
    "reasons",
)
_SUBJECTS = ("review_id", "listing_id", "reviewer_id")


def follow(
    settings: Settings, topics: Sequence[str], *, from_beginning: bool, until: Callable[[], bool]
) -> Generator[Record | None]:
    """Committed records of the topics as they come, None now and then when nothing does, until ``until`` says so.

    Partitions added while it runs are not seen. Closing the generator closes the consumer.
    """
    with Reader(settings, _GROUP) as reader:
        bounds = reader.bounds(reader.partitions(topics))
        starts = (
            {partition: low for partition, (low, _) in bounds.items()}
            if from_beginning
            else end_positions(bounds)
        )
        reader.start(starts)
        while not until():
            got = reader.poll()
            yield got if isinstance(got, Record) else None


def parse_filters(texts: Sequence[str]) -> dict[str, str]:
    """`key=L12`, `sentiment.label=negative`: names to wanted values. ``UsageError`` for anything else."""
    filters = {}
    for text in texts:
        name, separator, wanted = text.partition("=")
        if not (name and separator):
            raise UsageError(
                f"{text!r} is not NAME=VALUE", hint="for instance key=L12 or sentiment.label=negative"
            )
        filters[name] = wanted
    return filters


def matches(record: Record, filters: dict[str, str]) -> bool:
    """Whether the record's key (name `key`) and fields (names with dots go inwards) have all the wanted values."""
    if not filters:
        return True
    value = decoded(record.value)
    for name, wanted in filters.items():
        found = printable(record.key) if name == "key" else field(value, name)
        if found is None or wanted != (found if isinstance(found, str) else json.dumps(found)):
            return False
    return True


def decoded(value: bytes | None) -> Any:
    """The value as JSON; None when it is not, or holds a number that JSON has none for (``NaN``, ``1e999``)."""
    try:
        body = json.loads(value or b"")
        json.dumps(body, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return body


def field(value: Any, path: str) -> Any:
    """The field at a dotted path; None when there is none."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def as_json(record: Record) -> str:
    """One line of JSON. A value that is JSON stands as it is; any other bytes are in base64."""
    body = decoded(record.value)
    shown: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": None if record.key is None else record.key.decode("utf-8", "backslashreplace"),
        "headers": {
            name: None if value is None else value.decode("utf-8", "backslashreplace")
            for name, value in record.headers
        },
    }
    if body is not None or record.value is None:
        shown["value"] = body
    else:
        shown["value_base64"] = base64.b64encode(record.value).decode()
    return json.dumps(shown)


def as_columns(record: Record) -> str:
    """One line for a person: time, topic, key, and what matters of the event. Control characters are escaped."""
    letter = read_dead_letter(record.headers)
    if letter is not None:
        what = f"{letter.reason} at {letter.stage}, from {letter.topic}/{letter.partition}/{letter.offset}"
    else:
        what = _summary(record)
    return f"{_clock(record.timestamp_ms)}  {record.topic:28} {printable(record.key):>10}  {printable(what)}"


def _clock(timestamp_ms: int) -> str:
    try:
        at = datetime.fromtimestamp(timestamp_ms / 1000, UTC).astimezone()
    except (ValueError, OverflowError, OSError):  # any number may be written there
        return "--:--:--"
    return f"{at:%H:%M:%S}"


def _summary(record: Record) -> str:
    body = decoded(record.value)
    if not isinstance(body, dict):
        return f"{len(record.value or b'')} bytes" if record.value is not None else "tombstone"
    subjects = [str(body[name]) for name in _SUBJECTS if body.get(name) is not None]
    parts = [
        _text(found) for path in _SHOWN_FIELDS if (found := field(body, path)) is not None and found != []
    ]
    return (
        " ".join(subjects[:1])
        + "  "
        + "  ".join(parts or [_text(body.get("title") or body.get("body") or "")])
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "" if value is None else str(value)


def deadline(seconds: float | None) -> Callable[[], bool]:
    """True once so many seconds are over; never without a number."""
    ends_at = None if seconds is None else time.monotonic() + seconds
    return lambda: ends_at is not None and time.monotonic() >= ends_at
