"""Golden examples: inputs written for this project, and what the hot path makes of them.

Each input type has one example with every field and one with only what is required. The model's answers are given, so that
the examples do not change with the model.
"""

from typing import Any, NamedTuple

import orjson

from worker.contracts.catalogue import CATALOGUE, LISTING_CREATED, REVIEW_POSTED, MessageType
from worker.contracts.envelope import Inbound, decode
from worker.contracts.outbound import Coordinates
from worker.contracts.sentiment import scores_of
from worker.contracts.tagged import ModelRef
from worker.signals.outputs import OutputWriter

MODEL = ModelRef(name="tagline-zh-en-small", digest="9f2c81d07ab4", precision="float32")
PUBLISHED_AT = b"2026-01-05T08:30:01.250Z"
_TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Example(NamedTuple):
    """An input and the three probabilities (negative, neutral, positive) that a model might give it."""

    name: str
    type_: MessageType
    value: dict[str, object]
    probabilities: tuple[float, float, float]
    headers: list[tuple[str, bytes | None]]


EXAMPLES = (
    Example(
        "every field, as CloudEvent",
        LISTING_CREATED,
        {
            "listing_id": "L-1001",
            "seller_id": "S-17",
            "title": "史上最好的保温杯 316不锈钢 全网销量第一",
            "description": "500 毫升，十二小时保温。",
            "category": "home/kitchen/bottles",
            "brand": "Nordhang",
            "price": {"amount": 89.0, "currency": "CNY"},
            "locale": "zh-CN",
            "created_at": "2026-01-05T16:29:58+08:00",
        },
        (0.004, 0.108, 0.888),
        [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"c0ffee-1"),
            ("ce_source", b"/shop/listings"),
            ("ce_type", b"listing.created"),
            ("content-type", b"application/json"),
            ("traceparent", _TRACEPARENT),
        ],
    ),
    Example(
        "required fields only",
        LISTING_CREATED,
        {"listing_id": "L-1002", "seller_id": "S-18", "title": "Desk lamp, used, scratched base, works"},
        (0.71, 0.22, 0.07),
        [],
    ),
    Example(
        "every field, as CloudEvent",
        REVIEW_POSTED,
        {
            "review_id": "R-501",
            "listing_id": "L-1001",
            "reviewer_id": "U-88",
            "title": "失望",
            "body": "用了两天就漏水，客服一直不回复，包装也是破的。",
            "rating": 1,
            "order_id": "O-7001",
            "verified_purchase": True,
            "locale": "zh-CN",
            "posted_at": "2026-01-05T08:29:59Z",
        },
        (0.982, 0.013, 0.005),
        [
            ("ce_specversion", b"1.0"),
            ("ce_id", b"c0ffee-2"),
            ("ce_source", b"/shop/reviews"),
            ("ce_type", b"review.posted"),
            ("content-type", b"application/json"),
            ("traceparent", _TRACEPARENT),
        ],
    ),
    Example(
        "required fields only",
        REVIEW_POSTED,
        {
            "review_id": "R-502",
            "listing_id": "L-1002",
            "reviewer_id": "U-89",
            "body": "The plug sparked and the base was smoking. Dangerous!",
        },
        (0.95, 0.04, 0.01),
        [],
    ),
)


def golden_examples() -> dict[str, list[dict[str, Any]]]:
    """Examples of every message by versioned type, the outputs made by the code that the worker runs."""
    found: dict[str, list[dict[str, Any]]] = {type_.versioned: [] for type_ in CATALOGUE}
    by_topic = {type_.topic: type_.versioned for type_ in CATALOGUE}
    writer = OutputWriter(ce_source="/tagline", model=MODEL)
    for index, example in enumerate(EXAMPLES):
        topic = example.type_.topic
        value = orjson.dumps(example.value)
        inbound = decode(topic, None, value, example.headers)
        if not isinstance(inbound, Inbound):
            raise TypeError(f"the example {example.name!r} is not a valid {example.type_.name}")
        found[example.type_.versioned].append(
            _shown(example.name, topic, inbound.subject_key, example.headers, value)
        )
        at = Coordinates(topic, 3, 12_045 + index, 1_767_601_800_000)
        scores = scores_of(*example.probabilities, truncated=False)
        for message in writer.messages(inbound, scores, at, text=inbound.text, published_at=PUBLISHED_AT):
            name = f"from {example.type_.name}, {example.name}"
            found[by_topic[message.topic]].append(
                _shown(name, message.topic, message.key, message.headers, message.value)
            )
    return found


def _shown(
    name: str, topic: str, key: bytes | None, headers: list[tuple[str, bytes | None]], value: bytes | None
) -> dict[str, Any]:
    return {
        "name": name,
        "topic": topic,
        "key": (key or b"").decode(),
        "headers": {header: (content or b"").decode() for header, content in headers},
        "value": orjson.loads(value or b"null"),
    }
