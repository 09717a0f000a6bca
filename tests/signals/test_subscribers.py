"""What ranking, advertising and customer service are told, and when."""

import orjson
import pytest

from worker.classify.normalise import normalise
from worker.contracts.envelope import decode
from worker.contracts.sentiment import scores_of
from worker.contracts.topics import LISTINGS_CREATED, REVIEWS_POSTED
from worker.signals.ads import ads_signal
from worker.signals.care import care_alert
from worker.signals.ranking import ranking_signal

NEGATIVE = scores_of(0.8, 0.1, 0.1, truncated=False)
VERY_NEGATIVE = scores_of(0.95, 0.03, 0.02, truncated=False)
DOUBTFUL = scores_of(0.5, 0.3, 0.2, truncated=False)
NEUTRAL = scores_of(0.1, 0.8, 0.1, truncated=False)
POSITIVE = scores_of(0.02, 0.08, 0.9, truncated=False)


def listing(title="Wool scarf"):
    value = {"listing_id": "L-1", "seller_id": "S-1", "title": title}
    return decode(LISTINGS_CREATED, None, orjson.dumps(value), None)


def review(body="Words.", **fields):
    value = {"review_id": "R-1", "listing_id": "L-1", "reviewer_id": "U-1", "body": body} | fields
    return decode(REVIEWS_POSTED, None, orjson.dumps(value), None)


def ads(title, scores):
    fields = ads_signal(listing(title), scores, title).fields
    return fields["eligible"], fields["reasons"]


def care(scores, body="Words.", **fields):
    alert = care_alert(review(body, **fields), scores, body)
    return None if alert is None else (alert.fields["severity"], alert.fields["reasons"])


@pytest.mark.parametrize(
    ("inbound", "weight"),
    [
        (listing(), 0.1),
        (review(), 0.5),
        (review(verified_purchase=False), 0.5),
        (review(verified_purchase=True), 1.0),
    ],
    ids=["title", "unknown purchase", "no purchase", "verified purchase"],
)
def test_ranking_weighs_evidence_by_who_wrote_it(inbound, weight):
    assert ranking_signal(inbound, POSITIVE, inbound.text).fields["weight"] == weight
    cut = POSITIVE._replace(truncated=True)
    assert ranking_signal(inbound, cut, inbound.text).fields["weight"] == pytest.approx(0.8 * weight)


def test_ranking_gets_the_score_and_the_review():
    fields = ranking_signal(review(verified_purchase=True), NEGATIVE, "").fields
    assert (fields["polarity"], fields["confidence"], fields["review_id"]) == (-0.7, 0.8, "R-1")
    assert ranking_signal(listing(), NEGATIVE, "").fields["review_id"] is None


@pytest.mark.parametrize(
    ("title", "scores", "expected"),
    [
        ("Wool scarf", POSITIVE, (True, [])),
        ("Wool scarf", NEUTRAL, (True, [])),
        ("Ugly scarf", NEGATIVE, (False, ["negative_tone"])),
        ("Ugly scarf", DOUBTFUL, (True, [])),
        ("最好的围巾", POSITIVE, (False, ["superlative_claim"])),
        ("Best ugly scarf", NEGATIVE, (False, ["negative_tone", "superlative_claim"])),
        ("二手围巾 有瑕疵", VERY_NEGATIVE, (True, ["condition_disclosed"])),
        ("Best used scarf", NEGATIVE, (False, ["superlative_claim", "condition_disclosed"])),
    ],
)
def test_ads_are_blocked_by_claims_and_by_tone_but_not_by_honesty(title, scores, expected):
    assert ads(title, scores) == expected


@pytest.mark.parametrize("claim", ["全网第一", "全\u200b网第一", "ＮＯ．１", "lowest\tprice"])
def test_a_claim_in_the_part_that_normalisation_cuts_is_not_advertised(claim):
    title = f"好{'…' * 700} {claim} {'…' * 700}好"
    text, cut_short = normalise(title)
    assert cut_short
    fields = ads_signal(listing(title), POSITIVE._replace(truncated=True), text).fields
    assert (fields["eligible"], fields["reasons"]) == (False, ["superlative_claim"])


def test_reviews_have_no_say_in_advertising_and_listings_none_in_care():
    assert ads_signal(review(), VERY_NEGATIVE, "x") is None
    assert care_alert(listing(), VERY_NEGATIVE, "x") is None


@pytest.mark.parametrize(
    ("scores", "rating", "expected"),
    [
        (NEGATIVE, 1, ("medium", ["negative_tone", "low_rating"])),
        (NEGATIVE, 3, ("low", ["negative_tone"])),
        (NEGATIVE, None, ("low", ["negative_tone"])),
        (VERY_NEGATIVE, None, ("medium", ["negative_tone"])),
        (VERY_NEGATIVE, 5, ("low", ["negative_tone", "rating_above_tone"])),
        (DOUBTFUL, 5, None),
        (DOUBTFUL, None, None),
        (DOUBTFUL, 2, ("low", ["low_rating"])),
        (NEUTRAL, 1, ("low", ["low_rating"])),
        (NEUTRAL, 3, None),
        (POSITIVE, 1, ("low", ["low_rating", "rating_below_tone"])),
        (POSITIVE, 5, None),
        (POSITIVE, None, None),
    ],
)
def test_care_follows_its_table(scores, rating, expected):
    assert care(scores, rating=rating) == expected


def test_safety_is_urgent_and_authenticity_is_not_minor_once_an_alert_is_raised():
    assert care(NEGATIVE, "It caught fire")[0] == "high"
    assert care(NEGATIVE, "是假货")[0] == "medium"
    assert care(POSITIVE, "No rash, no smoke, lovely") is None


def test_an_alert_carries_what_a_person_needs():
    alert = care_alert(review(rating=5, order_id="O-1"), VERY_NEGATIVE, "物流慢，质量差")
    assert alert.key == b"U-1"
    assert alert.fields["aspects"] == ["quality", "delivery"]
    assert alert.fields["rating_against_tone"] == "above"
    assert (alert.fields["order_id"], alert.fields["rating"], alert.fields["tone"]) == ("O-1", 5, "negative")


@pytest.mark.parametrize(
    ("rating", "scores", "expected"),
    [
        (None, NEGATIVE, "unknown"),
        (3, NEGATIVE, "agrees"),
        (1, NEUTRAL, "agrees"),
        (2, POSITIVE, "below"),
        (4, NEGATIVE, "above"),
    ],
)
def test_rating_against_tone(rating, scores, expected):
    assert care_alert(review(rating=rating), scores, "").fields["rating_against_tone"] == expected
