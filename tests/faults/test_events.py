"""The feed itself: reproducible, and broken in as many ways as it says."""

import json
import random
from collections import Counter

from tests.faults.events import BROKEN, FATES, MARKER, ODD, events, good


def test_a_seed_decides_everything() -> None:
    assert list(events(300, 0.2, 7)) == list(events(300, 0.2, 7))
    assert list(events(300, 0.2, 7)) != list(events(300, 0.2, 8))


def test_twenty_thousand_events_hold_every_kind_and_the_share_asked_for() -> None:
    kinds = Counter(event.kind for event in events(20_000, 0.05, 1))
    assert set(kinds) >= set(BROKEN) | set(ODD)
    broken = sum(count for kind, count in kinds.items() if kind in FATES)
    assert 0.04 < broken / 20_000 < 0.06


def test_good_events_come_in_three_envelopes_and_hold_the_marker() -> None:
    random_ = random.Random(1)
    made = [good(number, random_) for number in range(200)]
    assert {event.kind for event in made} == {"good-bare", "good-binary", "good-structured"}
    for event in made:
        body = json.loads(event.value or b"")
        subject = body.get("data", body)
        assert MARKER in (subject.get("title") or subject["body"])
        assert event.key == subject["listing_id"].encode()


def test_the_same_text_comes_again_now_and_then() -> None:
    bodies = [json.loads(event.value or b"") for event in events(2_000, 0.0, 1)]
    texts = Counter(body.get("data", body).get("body") for body in bodies)
    assert sum(count for text, count in texts.items() if text and count > 1) > 200
