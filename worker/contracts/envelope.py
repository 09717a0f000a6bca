"""From a record's bytes to an event, a rejection or a skip.

A record is read as one of three, told apart by its ``content-type`` header alone:

* **binary CloudEvents** (headers ``ce_*``, the value is the event's JSON): the recommended form;
* **structured CloudEvents** (``content-type: application/cloudevents+json``, the value is the whole envelope);
* **bare JSON** (no CloudEvents headers at all).

Documented tolerances: the record's key is not trusted (the listing's id comes from the value); ``ce_id``, ``ce_time`` and
trace headers that are malformed are ignored; ``ce_type`` may be missing, and may carry a prefix (``com.example.``) and
the topic's version (``.v1``). A ``ce_type`` that names something else is a rejection.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.contracts.inbound import ListingCreated, ReviewPosted, read_time, text_of, time_of
from worker.contracts.malformed import Rejection, rejection_of
from worker.contracts.reasons import Reason, SkipReason
from worker.contracts.topics import LISTINGS_CREATED, REVIEWS_POSTED

__all__ = ["DEFAULT_MAX_BYTES", "Headers", "Inbound", "Rejection", "Skip", "decode"]

Headers = Sequence[tuple[str, bytes | None]]

DEFAULT_MAX_BYTES = 1_000_000


class Inbound(NamedTuple):
    """A record that can be tagged."""

    kind: Literal["title", "review"]
    text: str
    """What is to be classified, not yet normalised."""
    event: ListingCreated | ReviewPosted
    subject_key: bytes
    """The listing's id: the key under which order is kept."""
    event_id: str | None
    """The CloudEvents id the producer gave it, if any."""
    event_at: datetime | None
    """When it happened, in UTC, if the producer said so."""
    traceparent: bytes | None
    tracestate: bytes | None


class Skip(NamedTuple):
    """A record that needs no output."""

    reason: SkipReason


class _Structured(BaseModel):
    """A structured event, its data not yet looked at (so that a wrong type is reported as one)."""

    model_config = ConfigDict(extra="ignore")

    specversion: str
    type: str | None = None
    id: Any = None
    time: Any = None
    traceparent: Any = None
    tracestate: Any = None
    data: Any = None
    data_base64: str | None = None


class _Source(NamedTuple):
    """How one input topic is read."""

    type_name: str
    model: type[ListingCreated] | type[ReviewPosted]
    kind: Literal["title", "review"]


_SOURCES = {
    LISTINGS_CREATED: _Source("listing.created", ListingCreated, "title"),
    REVIEWS_POSTED: _Source("review.posted", ReviewPosted, "review"),
}
_TOMBSTONE = Skip(SkipReason.TOMBSTONE)
_READ_HEADERS = frozenset(
    {"content-type", "ce_specversion", "ce_type", "ce_id", "ce_time", "traceparent", "tracestate"}
)
# W3C trace context: version ff, and ids of zeros alone, are invalid.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(rb"[\x20-\x7e]{1,512}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_EVENT_ID_MAX_BYTES = 256
_NO_ATTRIBUTES: dict[str, bytes] = {}


def decode(
    topic: str,
    key: bytes | None,  # noqa: ARG001 - the signature is the whole record; keys are not trusted (see above)
    value: bytes | None,
    headers: Headers | None,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Inbound | Rejection | Skip:
    """Read one record of an input topic.

    Never raises on bad input and takes time linear in the record's size, with ``max_bytes`` as the bound; about 3 us for
    a common review. Any thread may call it. A ``topic`` that is not an input raises KeyError: a bug of the caller.
    """
    source = _SOURCES[topic]
    if value is None:
        return _TOMBSTONE
    if len(value) > max_bytes:
        return Rejection(Reason.TOO_LARGE, f"{len(value)} bytes, the limit is {max_bytes}")
    attributes = _attributes(headers) if headers else _NO_ATTRIBUTES

    content_type = attributes.get("content-type", b"")[:64].lower()
    if content_type.startswith(b"application/cloudevents"):
        if not content_type.startswith(b"application/cloudevents+json"):
            return Rejection(
                Reason.UNSUPPORTED_ENVELOPE, "content-type: only application/cloudevents+json is read"
            )
        return _decode_structured(source, value, attributes)

    version = attributes.get("ce_specversion")
    if version is not None and not version.startswith(b"1."):
        return Rejection(Reason.UNSUPPORTED_ENVELOPE, "ce_specversion: only 1.x is read")
    declared = attributes.get("ce_type")
    if declared is not None and not _names(declared.decode("utf-8", "replace"), source.type_name):
        return Rejection(Reason.WRONG_TYPE, f"ce_type: not {source.type_name}")
    try:
        event = source.model.__pydantic_validator__.validate_json(value)
    except ValidationError as error:
        return rejection_of(value, error)
    return _inbound(source, event, attributes)


def _attributes(headers: Headers) -> dict[str, bytes]:
    """The headers that are read; of one that occurs twice the last counts, as in Kafka's own clients."""
    return {name: value for name, value in headers if value is not None and name in _READ_HEADERS}


def _names(declared: str, expected: str) -> bool:
    """Whether a CloudEvents type names ``expected``, with or without a prefix and the version."""
    return declared == expected or f".{declared.removesuffix('.v1')}".endswith(f".{expected}")


def _inbound(
    source: _Source, event: ListingCreated | ReviewPosted, attributes: dict[str, bytes]
) -> Inbound | Rejection:
    text = text_of(event)
    if not text or text.isspace():
        return Rejection(Reason.EMPTY_TEXT, "blank")
    try:
        event_at = time_of(event)
    except OverflowError:
        return Rejection(Reason.INVALID_FIELD, "the event's time is beyond what UTC can express")
    key = event.listing_id.encode()
    if not attributes:
        return Inbound(source.kind, text, event, key, None, event_at, None, None)
    parent, state = attributes.get("traceparent"), attributes.get("tracestate")
    if parent is not None and not _TRACEPARENT.fullmatch(parent):
        parent = None
    if state is not None and (parent is None or not _TRACESTATE.fullmatch(state)):
        state = None
    return Inbound(
        source.kind,
        text,
        event,
        key,
        _event_id(attributes.get("ce_id")),
        event_at or _event_time(attributes.get("ce_time")),
        parent,
        state,
    )


def _event_id(raw: bytes | None) -> str | None:
    """The producer's event id if it can be repeated in a header of ours."""
    if not raw or len(raw) > _EVENT_ID_MAX_BYTES:
        return None
    try:
        event_id = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(event_id) else event_id


def _event_time(raw: bytes | None) -> datetime | None:
    if not raw or len(raw) > 64:
        return None
    try:
        return read_time(raw.decode("ascii"))
    except (ValueError, OverflowError):
        return None


def _decode_structured(source: _Source, value: bytes, headers: dict[str, bytes]) -> Inbound | Rejection:
    try:
        envelope = _Structured.__pydantic_validator__.validate_json(value)
    except ValidationError as error:
        rejection = rejection_of(value, error)
        if rejection.reason in (Reason.MISSING_FIELD, Reason.INVALID_FIELD):
            return Rejection(Reason.UNSUPPORTED_ENVELOPE, rejection.detail)
        return rejection
    if not envelope.specversion.startswith("1."):
        return Rejection(Reason.UNSUPPORTED_ENVELOPE, "specversion: only 1.x is read")
    if envelope.type is not None and not _names(envelope.type, source.type_name):
        return Rejection(Reason.WRONG_TYPE, f"type: not {source.type_name}")
    try:
        if envelope.data is not None:
            event = source.model.__pydantic_validator__.validate_python(envelope.data)
        elif envelope.data_base64 is not None:
            value = base64.b64decode(envelope.data_base64, validate=True)
            event = source.model.__pydantic_validator__.validate_json(value)
        else:
            return Rejection(Reason.MISSING_FIELD, "data: missing")
    except ValidationError as error:
        return rejection_of(value, error)
    except (binascii.Error, ValueError):
        return Rejection(Reason.UNSUPPORTED_ENVELOPE, "data_base64: not base64")
    # As in headers, what cannot be used is passed over: tagging needs none of these.
    carried = {
        "ce_id": envelope.id,
        "ce_time": envelope.time,
        "traceparent": envelope.traceparent,
        "tracestate": envelope.tracestate,
    }
    attributes = {
        name: value.encode("utf-8", "replace") for name, value in carried.items() if isinstance(value, str)
    }
    if "traceparent" in headers:  # the record's own trace is the nearer one, and its state belongs to it
        attributes["traceparent"] = headers["traceparent"]
        attributes["tracestate"] = headers.get("tracestate", b"")
    return _inbound(source, event, attributes)
