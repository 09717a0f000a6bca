"""Dead letters: the original record byte for byte, and headers that say why, where and how often.

Our headers are appended as one block after the original ones, so the original can be restored exactly even if it carried
``dlq.*`` headers of its own. All our values are ASCII. A switch writes Kafka Connect's or Spring's names instead.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from worker.contracts.deadletter_names import NAMINGS, HeaderNames
from worker.contracts.outbound import Coordinates, OutboundMessage
from worker.contracts.reasons import Reason, Stage
from worker.contracts.topics import dead_letter_topic

Headers = Sequence[tuple[str, bytes | None]]

REDRIVES = "dlq.redrives"
"""On a record that was redriven: how many times. It stays with the original's headers, so it survives another failure
and `tagline dlq redrive` can stop a loop."""
TRIMMED = "dlq.trimmed"
"""Which parts of the original were left out, because it is larger than a message may be: ``headers,value``, or also ``key``."""

_NAMING_BY_FIRST = {naming.first: naming for naming in NAMINGS.values()}
_ERROR_MAX_CHARS = 200


class Failure(NamedTuple):
    """Why a record became a dead letter."""

    reason: Reason
    stage: Stage
    error: str
    """Short and without anything a user wrote."""
    attempts: int = 1


class DeadLetter(NamedTuple):
    """A dead letter read back. The fields are text as found, for tools of another version may have written them."""

    reason: str
    stage: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    group: str
    attempts: int
    worker_version: str
    error: str
    redrives: int
    trimmed: tuple[str, ...]
    original_headers: list[tuple[str, bytes | None]]


def dead_letter(
    at: Coordinates,
    failure: Failure,
    *,
    key: bytes | None,
    value: bytes | None,
    headers: Headers | None,
    group: str,
    worker_version: str,
    names: HeaderNames = "tagline",
) -> OutboundMessage:
    """The message for ``<input>.dlq.v1``. Pure; never raises."""
    fields = {
        "reason": failure.reason.value,
        "stage": failure.stage.value,
        "topic": at.topic,
        "partition": str(at.partition),
        "offset": str(at.offset),
        "timestamp": "" if at.timestamp_ms is None else str(at.timestamp_ms),
        "group": group,
        "attempts": str(failure.attempts),
        "worker_version": worker_version,
        "error": failure.error[:_ERROR_MAX_CHARS],
    }
    block = NAMINGS[names].write(fields)
    return OutboundMessage(dead_letter_topic(at.topic), key, value, [*(headers or ()), *block])


def message_bytes(letter: OutboundMessage) -> int:
    """Bytes of a message as a producer counts them against its limit, rounded up for the framing of headers."""
    headers = sum(len(name.encode()) + len(value or b"") + 10 for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers + 512


def trimmed(letter: OutboundMessage, limit: int) -> OutboundMessage:
    """The same dead letter within ``limit`` bytes: whole, or its coordinates and key, or its coordinates only.

    What was left out is still in the input topic at those coordinates until its retention ends.
    """
    if message_bytes(letter) <= limit:
        return letter
    block = letter.headers[_block_start(letter.headers) :]
    with_key = OutboundMessage(letter.topic, letter.key, None, [*block, (TRIMMED, b"headers,value")])
    if message_bytes(with_key) <= limit:
        return with_key
    return OutboundMessage(letter.topic, None, None, [*block, (TRIMMED, b"headers,key,value")])


def read_dead_letter(headers: Headers | None) -> DeadLetter | None:
    """What a dead letter's headers say, whichever names they use; None if they are not a dead letter's. Never raises."""
    start = _block_start(headers or ())
    if headers is None or start < 0:
        return None
    block = dict(headers[start:])
    fields = _NAMING_BY_FIRST[headers[start][0]].read(block)
    original = list(headers[:start])
    timestamp = fields["timestamp"]
    return DeadLetter(
        reason=fields["reason"],
        stage=fields["stage"],
        topic=fields["topic"],
        partition=_number(fields["partition"], -1),
        offset=_number(fields["offset"], -1),
        timestamp_ms=_number(timestamp, -1) if timestamp else None,
        group=fields["group"],
        attempts=_number(fields["attempts"], 0),
        worker_version=fields["worker_version"],
        error=fields["error"],
        redrives=redrives(original),
        trimmed=tuple(filter(None, (block.get(TRIMMED) or b"").decode("ascii", "replace").split(","))),
        original_headers=original,
    )


def redrives(headers: Headers | None) -> int:
    """How often a record with these (original) headers was redriven."""
    counts = [
        _number((value or b"").decode("ascii", "replace"), 0)
        for name, value in headers or ()
        if name == REDRIVES
    ]
    return max(counts, default=0)


def redriven_headers(letter: DeadLetter) -> list[tuple[str, bytes | None]]:
    """The headers with which the original goes back to its topic: its own, and the loop guard's count raised by one."""
    kept = [(name, value) for name, value in letter.original_headers if name != REDRIVES]
    return [*kept, (REDRIVES, str(letter.redrives + 1).encode())]


def _block_start(headers: Headers) -> int:
    """Where our block begins: at the last header that begins one; -1 without one."""
    return max((index for index, (name, _) in enumerate(headers) if name in _NAMING_BY_FIRST), default=-1)


def _number(text: str, otherwise: int) -> int:
    return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else otherwise
