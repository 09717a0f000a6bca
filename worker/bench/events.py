"""The bench's texts as input events, in the recommended form (binary CloudEvents). Pure."""

import re
from typing import NamedTuple

import orjson

from worker.bench.texts import BenchText
from worker.contracts.topics import LISTINGS_CREATED, REVIEWS_POSTED

LISTINGS = 997
"""Different keys. The same text always stands under the same key, and so in the same partition."""
_RATINGS = (5, 5, 4, 5, 1, 5, 4, 3, 5, 2)
"""Most buyers give five stars or one."""


_ID = b"bench-%012d"
_ID_PATTERN = re.compile(r"bench-(\d{12,})")


class InputEvent(NamedTuple):
    """One record to send."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def number_of(event_id: str) -> int | None:
    """The number of the event that has this id; None for an id that is none of the bench's."""
    found = _ID_PATTERN.fullmatch(event_id)
    return int(found[1]) if found else None


def input_event(text: BenchText, number: int, key_number: int) -> InputEvent:
    """The event that carries a text; `number` makes its ids unique, `key_number` chooses its listing."""
    listing = f"L{key_number % LISTINGS:04}"
    if text.kind == "title":
        event: dict[str, object] = {"listing_id": listing, "seller_id": f"S{number % 89}", "title": text.text}
        topic, name = LISTINGS_CREATED, b"listing.created"
    else:
        event = {
            "review_id": f"R{number:09}",
            "listing_id": listing,
            "reviewer_id": f"U{number % 7919:05}",
            "body": text.text,
            "rating": _RATINGS[key_number % 10],
            "verified_purchase": number % 3 > 0,
            "locale": "zh-CN" if text.language == "zh" else "en-US",
            "posted_at": "2026-05-04T03:02:01Z",
        }
        topic, name = REVIEWS_POSTED, b"review.posted"
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", name),
        ("ce_source", b"/tagline/bench"),
        ("ce_id", _ID % number),
        ("ce_time", b"2026-05-04T03:02:01Z"),
        ("content-type", b"application/json"),
    ]
    return InputEvent(topic, listing.encode(), orjson.dumps(event), headers)
