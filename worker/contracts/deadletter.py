"""Dead letters: the original record byte for byte, and headers that say why, where and how often.

Our headers are appended as one block after the original ones, so the original can be restored exactly even if it carried
``dlq.*`` headers of its own (a dead letter that was redriven and failed again does). All our values are ASCII.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from worker.contracts.outbound import Coordinates, OutboundMessage
from worker.contracts.reasons import Reason, Stage
from worker.contracts.topics import dead_letter_topic

Headers = Sequence[tuple[str, bytes | None]]

REDRIVES = "dlq.redrives"
"""On a record that was redriven: how many times. It stays with the original's headers, so it survives another failure
and `tagline dlq redrive` can stop a loop."""
TRIMMED = "dlq.trimmed"
"""Which parts of the original were left out, when the dead-letter topic refused its size: ``headers,value``."""

_FIRST = "dlq.reason"
_BLOCK = (
    _FIRST,
    "dlq.stage",
    "dlq.topic",
    "dlq.partition",
    "dlq.offset",
    "dlq.timestamp",
    "dlq.group",
    "dlq.attempts",
    "dlq.worker_version",
    "dlq.error",
)
_ERROR_MAX_CHARS = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


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
) -> OutboundMessage:
    """The message for ``<input>.dlq.v1``. Pure; never raises."""
    described = (
        failure.reason,
        failure.stage,
        at.topic,
        str(at.partition),
        str(at.offset),
        "" if at.timestamp_ms is None else str(at.timestamp_ms),
        group,
        str(failure.attempts),
        worker_version,
        failure.error[:_ERROR_MAX_CHARS],
    )
    block = [(name, _ascii(text)) for name, text in zip(_BLOCK, described, strict=True)]
    return OutboundMessage(dead_letter_topic(at.topic), key, value, [*(headers or ()), *block])


def without_original(letter: OutboundMessage) -> OutboundMessage:
    """The same dead letter trimmed to its coordinates, key included, for a topic that refuses its size.

    What was left out is still in the input topic at those coordinates until its retention ends.
    """
    block = letter.headers[_block_start(letter.headers) :]
    return OutboundMessage(letter.topic, letter.key, None, [*block, (TRIMMED, b"headers,value")])


def read_dead_letter(headers: Headers | None) -> DeadLetter | None:
    """What a dead letter's headers say; None if they are not a dead letter's. Never raises."""
    start = _block_start(headers or ())
    if headers is None or start < 0:
        return None
    block = {name: (value or b"").decode("ascii", "replace") for name, value in headers[start:]}
    original = list(headers[:start])
    timestamp = block.get("dlq.timestamp", "")
    return DeadLetter(
        reason=block[_FIRST],
        stage=block.get("dlq.stage", ""),
        topic=block.get("dlq.topic", ""),
        partition=_number(block.get("dlq.partition", ""), -1),
        offset=_number(block.get("dlq.offset", ""), -1),
        timestamp_ms=_number(timestamp, -1) if timestamp else None,
        group=block.get("dlq.group", ""),
        attempts=_number(block.get("dlq.attempts", ""), 0),
        worker_version=block.get("dlq.worker_version", ""),
        error=block.get("dlq.error", ""),
        redrives=redrives(original),
        trimmed=tuple(filter(None, block.get(TRIMMED, "").split(","))),
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
    """Where our block begins: at the last ``dlq.reason``; -1 without one."""
    return max((index for index, (name, _) in enumerate(headers) if name == _FIRST), default=-1)


def _ascii(text: str) -> bytes:
    return _UNPRINTABLE.sub("?", text).encode("ascii")


def _number(text: str, otherwise: int) -> int:
    return int(text) if re.fullmatch(r"-?[0-9]{1,19}", text) else otherwise
