"""Sample events, as producers in a marketplace would send them: Chinese and English, tidy and untidy, a few broken.

The texts in ``samples/`` were written for this project. The feed draws them, alone (so that texts recur, and a cache has
something to remember) or combined (so that it does not remember everything), and makes events of them in each of the
forms that the worker reads. It sends nothing: that is the caller's.
"""

import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, NamedTuple

from worker.contracts.topics import LISTINGS_CREATED, REVIEWS_POSTED

BROKEN_SHARE = 0.015
_LISTING_SHARE = 0.3
_COMBINED_SHARE = 0.5
_FORMS = {"bare": 0.55, "binary": 0.3, "structured": 0.15}
_LISTINGS_ON_SALE = 200
"""Reviews are written of the latest listings only, so that a listing gets several."""
_REVIEWERS = 2_000
_EDITIONS = {
    "zh-CN": ("黑色", "白色", "米色", "大号", "小号", "两件装", "礼盒装", "新包装"),
    "en-US": ("Black", "White", "Sand", "Large", "Small", "2-Pack", "Gift Box", "New Packaging"),
}

Sample = dict[str, Any]
"""The fields of an event that are not ids or times."""


class FeedRecord(NamedTuple):
    """One record to produce."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    identity: str | None
    """The id of the listing or review; None when the record is broken and cannot be tagged."""
    text: str
    """What is to be tagged, for showing; empty when broken."""


def samples(name: str) -> list[Sample]:
    """The sample ``listings`` or ``reviews``."""
    lines = (files("worker.local") / "samples" / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def feed(
    seed: int,
    count: int | None = None,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[FeedRecord]:
    """Records without end, or ``count`` of them. The same seed and clock make the same records.

    Ids begin with something drawn from the seed, so feeds with different seeds do not meet. The first is a listing.
    """
    maker = _Maker(random.Random(seed), clock)
    number = 0
    while count is None or number < count:
        yield maker.make(number)
        number += 1


class _Maker:
    """Draws the records of one feed."""

    def __init__(self, rng: random.Random, clock: Callable[[], datetime]) -> None:
        self._rng = rng
        self._clock = clock
        self._run = f"{rng.getrandbits(32):08x}"
        self._titles = samples("listings")
        self._reviews = samples("reviews")
        self._on_sale: deque[str] = deque(maxlen=_LISTINGS_ON_SALE)

    def make(self, number: int) -> FeedRecord:
        is_listing = not self._on_sale or self._rng.random() < _LISTING_SHARE
        event = self._listing(number) if is_listing else self._review(number)
        topic = LISTINGS_CREATED if is_listing else REVIEWS_POSTED
        key = event["listing_id"].encode()
        if self._on_sale and self._rng.random() < BROKEN_SHARE:
            return FeedRecord(topic, key, self._broken(event, is_listing), (), None, "")
        if is_listing:
            self._on_sale.append(event["listing_id"])
            identity, text = event["listing_id"], event["title"]
        else:
            identity = event["review_id"]
            text = "\n".join(filter(None, (event.get("title"), event["body"])))
        value, headers = self._enveloped(
            event, "listing.created" if is_listing else "review.posted", identity
        )
        return FeedRecord(topic, key, value, headers, identity, text)

    def _listing(self, number: int) -> Sample:
        sample = self._rng.choice(self._titles)
        title = sample["title"]
        if self._rng.random() < _COMBINED_SHARE:
            title = f"{title} {' '.join(self._rng.sample(_EDITIONS[sample['locale']], 2))}"
        return {
            "listing_id": f"L-{self._run}-{number}",
            "seller_id": f"S-{self._rng.randrange(300)}",
            **sample,
            "title": title,
            "created_at": self._clock().isoformat(),
        }

    def _review(self, number: int) -> Sample:
        sample = self._rng.choice(self._reviews)
        body = sample["body"]
        if self._rng.random() < _COMBINED_SHARE:
            like = [other for other in self._reviews if _sounds_like(other, sample)]
            body = f"{body} {self._rng.choice(like)['body']}"
        verified = self._rng.random() < 0.8
        return {
            "review_id": f"R-{self._run}-{number}",
            "listing_id": self._rng.choice(self._on_sale),
            "reviewer_id": f"U-{self._rng.randrange(_REVIEWERS)}",
            **sample,
            "body": body,
            "verified_purchase": verified,
            **({"order_id": f"O-{self._run}-{number}"} if verified else {}),
            "posted_at": self._clock().isoformat(),
        }

    def _enveloped(
        self, event: Sample, event_type: str, identity: str
    ) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
        """One of the three forms: bare JSON, binary CloudEvents, structured CloudEvents."""
        form = self._rng.choices(list(_FORMS), list(_FORMS.values()))[0]
        if form == "bare":
            return _json(event), ()
        attributes = {
            "specversion": "1.0",
            "id": f"evt-{identity}",
            "source": "/marketplace/sample-feed",
            "type": event_type,
            "time": event.get("created_at") or event["posted_at"],
        }
        if form == "binary":
            headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
            return _json(event), (*headers, ("content-type", b"application/json"))
        structured = {**attributes, "datacontenttype": "application/json", "data": event}
        return _json(structured), (("content-type", b"application/cloudevents+json"),)

    def _broken(self, event: Sample, is_listing: bool) -> bytes:
        """Something that went wrong on the producer's side."""
        text_field = "title" if is_listing else "body"
        way = self._rng.randrange(5)
        if way == 0:
            return _json(event)[:-7]  # cut off
        if way == 1:
            return _json(event | {text_field: "乱码"}).replace("乱码".encode(), "乱码".encode("gb18030"))
        if way == 2:
            del event[text_field]
        elif way == 3:
            event[text_field] = 12_345
        else:
            event[text_field] = " \u200b "  # nothing that can be seen
            if not is_listing:
                event.pop("title", None)
        return _json(event)


def _sounds_like(other: Sample, sample: Sample) -> bool:
    """Whether one reviewer could have written both: the same language, and about the same verdict."""
    return bool(
        other["locale"] == sample["locale"] and other["rating"] == sample["rating"] and other is not sample
    )


def _json(value: Sample) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
