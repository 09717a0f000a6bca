"""The events that are fed: good ones in every envelope, and broken ones of every kind. Pure; a seed decides all.

Every text holds `MARKER`, a word that nothing but user text contains, so that a leak into outputs or logs shows.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

MARKER = "brimstonefern"
LISTINGS, REVIEWS = "listings.created.v1", "reviews.posted.v1"
Fate = Literal["tagged", "dead", "skipped", "either"]
"""What must become of an event. `either` is for input on which a worker may be strict or tolerant, but not both."""

_OPENERS = (
    "质量很好，",
    "发货太慢，",
    "Great value, ",
    "Stopped working after a week, ",
    "和描述一致，",
    "Nothing like the photo, ",
)
_THINGS = (
    "wireless earbuds",
    "棉质T恤",
    "ceramic mug",
    "行车记录仪",
    "desk lamp",
    "羊毛围巾",
    "running shoes",
    "电饭煲",
)
_CLOSERS = (
    "，五星好评",
    ", would buy again",
    "，客服态度差",
    ", asked for a refund",
    "，包装完好",
    ", it is fine",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One record to feed, and what must become of it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    kind: str
    fate: Fate


def events(count: int, broken_share: float, seed: int) -> Iterator[Event]:
    """`count` events; about `broken_share` of them broken, each kind of `BROKEN` about as often."""
    random_ = random.Random(seed)
    decks: list[str] = []
    for number in range(count):
        if random_.random() < broken_share:
            if not decks:  # dealt from a shuffled deck, so that few events still hold every kind
                decks = random_.sample(sorted(BROKEN), len(BROKEN))
            yield _broken(decks.pop(), number, random_)
        else:
            yield good(number, random_)


def good(number: int, random_: random.Random) -> Event:
    """An event that must be tagged: a listing or a review; bare JSON, or a CloudEvent in binary or structured mode."""
    topic, subject = _subject(number, random_)
    key = str(subject["listing_id"]).encode()
    envelope = random_.choice(("bare", "bare", "binary", "structured"))
    attributes = {
        "specversion": "1.0",
        "id": f"in-{number}",
        "source": "/outsider",
        "type": "listing.created" if topic == LISTINGS else "review.posted",
    }
    if envelope == "binary":
        headers = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
        return Event(
            topic,
            key,
            _json(subject),
            (*headers, ("content-type", b"application/json")),
            "good-binary",
            "tagged",
        )
    if envelope == "structured":
        value = _json({**attributes, "datacontenttype": "application/json", "data": subject})
        return Event(
            topic,
            key,
            value,
            (("content-type", b"application/cloudevents+json"),),
            "good-structured",
            "tagged",
        )
    return Event(topic, key, _json(subject), (), "good-bare", "tagged")


def _subject(number: int, random_: random.Random) -> tuple[str, dict[str, Any]]:
    listing = f"L{random_.randrange(300)}"
    # Two thirds of the texts are new; the rest come again, so that the cache has work to do.
    variant = number if random_.random() < 0.67 else -random_.randrange(1, 50)
    parts = (part[variant // 7 % len(part)] for part in (_OPENERS, _THINGS, _CLOSERS))
    text = f"{next(parts)}{next(parts)} {MARKER} {variant}{next(parts)}"
    if random_.random() < 0.3:
        return LISTINGS, {
            "listing_id": listing,
            "seller_id": f"S{number % 40}",
            "title": text,
            "locale": "en-GB",
        }
    return REVIEWS, {
        "review_id": f"R{number}",
        "listing_id": listing,
        "reviewer_id": f"U{random_.randrange(200)}",
        "body": text,
        "rating": random_.randint(1, 5),
        "verified_purchase": random_.random() < 0.5,
    }


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _without(subject: dict[str, Any], name: str) -> bytes:
    return _json({key: value for key, value in subject.items() if key != name})


def _review(number: int) -> dict[str, Any]:
    return {
        "review_id": f"R{number}",
        "listing_id": f"L{number % 300}",
        "reviewer_id": "U1",
        "body": f"{MARKER} {number}",
    }


def _with(number: int, **fields: object) -> bytes:
    return _json({**_review(number), **fields})


BROKEN: dict[str, Any] = {
    "not-utf8": lambda n: _with(n).replace(MARKER.encode(), MARKER.encode() + b"\xff\xfe\xc3\x28"),
    "not-json": lambda n: b"{listing_id: " + MARKER.encode() + str(n).encode(),
    "cut-short": lambda n: _with(n)[:-7],
    "empty-value": lambda _: b"",
    "scalar": lambda n: str(n).encode(),
    "null-literal": lambda _: b"null",
    "list": lambda n: _json([_review(n)]),
    "missing-id": lambda n: _without(_review(n), "review_id"),
    "missing-text": lambda n: _without(_review(n), "body"),
    "text-is-number": lambda n: _with(n, body=n),
    "text-is-null": lambda n: _with(n, body=None),
    "id-is-object": lambda n: _with(n, review_id={"id": n}),
    "rating-is-text": lambda n: _with(n, rating="splendid"),
    "rating-out-of-range": lambda n: _with(n, rating=n + 6),
    "nan": lambda n: _with(n, rating=float("nan")),
    "deep": lambda n: (
        b'{"review_id":"R%d","listing_id":"L1","reviewer_id":"U1","body":"x","extra":' % n + b"[" * 100_000
    ),
    "long-id": lambda n: _with(n, review_id=f"R{n}" + "9" * 100_000),
    "registry-framing": lambda n: b"\x00\x00\x00\x00\x07" + _with(n),
    "huge": lambda n: _with(
        n, body=f"{MARKER} " * 73_000
    ),  # more than a worker parses, less than the topic refuses
}
"""Values that can never be tagged, by kind: each goes to the dead letters with its own bytes."""

ODD: dict[str, tuple[Any, Fate]] = {
    "tombstone": (lambda _: None, "skipped"),
    "nul-in-text": (lambda n: _with(n, body=f"\x00{MARKER} {n}"), "either"),
    "lone-surrogate": (lambda n: _with(n).replace(MARKER.encode(), MARKER.encode() + rb"\ud800"), "either"),
    "duplicate-keys": (lambda n: _with(n)[:-1] + b',"body":"again"}', "either"),
    "zero-width-only": (lambda n: _with(n, body="\u200b" * 40), "either"),
    "unknown-field": (lambda n: _with(n, colour="blue", nested={"a": [1, 2]}), "tagged"),
    "byte-order-mark": (lambda n: b"\xef\xbb\xbf" + _with(n), "either"),
}
"""Values with a fate of their own."""

FATES: dict[str, Fate] = {**dict.fromkeys(BROKEN, "dead"), **{kind: fate for kind, (_, fate) in ODD.items()}}


def _broken(kind: str, number: int, random_: random.Random) -> Event:
    if random_.random() < 0.25:
        kind = random_.choice(sorted(ODD))
    make = ODD[kind][0] if kind in ODD else BROKEN[kind]
    key = None if random_.random() < 0.1 else f"L{number % 300}".encode()
    headers = random_.choice(
        ((), (("trace", b"\x00\xff"), ("trace", b"twice")), (("x-odd", bytes(range(256))),))
    )
    return Event(
        REVIEWS,
        key if kind != "tombstone" else f"L{number % 300}".encode(),
        make(number),
        headers,
        kind,
        FATES[kind],
    )
