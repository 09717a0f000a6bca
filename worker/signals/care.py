"""``care.alert``: does this review need a person, and how soon?

An alert is raised when the reviewer is unhappy (a negative tone the model is reasonably sure of, or one or two stars), or
when stars and words contradict each other, because one of the two is then wrong and ranking counts both.

| tone | stars | alert |
|---|---|---|
| negative, sure | 1-2 | medium: words and stars agree |
| negative, sure | 3 or none | medium if very sure, else low |
| negative, sure | 4-5 | low, ``rating_above_tone`` |
| negative, unsure | 3-5 or none | none |
| negative (unsure) or neutral | 1-2 | low: the stars alone |
| positive | 1-2 | low, ``rating_below_tone`` |
| neutral or positive | 3-5 or none | none |

A complaint about safety is high and one about authenticity at least medium, whatever the rest says, once an alert is
raised: people can be hurt, and the shop can be liable. Not raised otherwise: "no rash, no smell" is praise.
"""

from typing import Literal

from worker.contracts.envelope import Inbound
from worker.contracts.inbound import ReviewPosted
from worker.contracts.sentiment import Scores
from worker.contracts.signals import Aspect, CareReason
from worker.signals.lexicons import aspects
from worker.signals.signal import Signal

NEGATIVE_CONFIDENCE = 0.6
"""Below it a negative tone alone raises nothing: a person's minute costs more than the review tells."""
SURE_CONFIDENCE = 0.9
"""From here on a negative tone without stars is taken as seriously as one with them."""

_ASPECTS = tuple(aspect.value for aspect in Aspect)
_Standing = Literal["agrees", "above", "below", "unknown"]


def care_alert(inbound: Inbound, scores: Scores, text: str) -> Signal | None:
    """An alert for a review that needs a person; None for all others and for listings."""
    event = inbound.event
    if type(event) is not ReviewPosted:
        return None
    unhappy = scores.label == "negative" and scores.confidence >= NEGATIVE_CONFIDENCE
    low_rating = event.rating is not None and event.rating <= 2
    if not (unhappy or low_rating):
        return None
    against = rating_against_tone(event.rating, scores)
    reasons: list[str] = []
    if unhappy:
        reasons.append(CareReason.NEGATIVE_TONE.value)
    if low_rating:
        reasons.append(CareReason.LOW_RATING.value)
    if against == "above":
        reasons.append(CareReason.RATING_ABOVE_TONE.value)
    elif against == "below":
        reasons.append(CareReason.RATING_BELOW_TONE.value)
    found = aspects(text)
    return Signal(
        event.reviewer_id.encode(),
        {
            "review_id": event.review_id,
            "listing_id": event.listing_id,
            "reviewer_id": event.reviewer_id,
            "order_id": event.order_id,
            "severity": _severity(unhappy, low_rating, against, scores.confidence, found),
            "reasons": reasons,
            "aspects": [aspect for aspect in _ASPECTS if aspect in found],
            "tone": scores.label,
            "confidence": scores.confidence,
            "rating": event.rating,
            "rating_against_tone": against,
        },
    )


def rating_against_tone(rating: int | None, scores: Scores) -> _Standing:
    """Whether the stars say more, less or the same as the words. Three stars and a neutral tone contradict nothing."""
    if rating is None:
        return "unknown"
    if rating >= 4 and scores.label == "negative" and scores.confidence >= NEGATIVE_CONFIDENCE:
        return "above"
    if rating <= 2 and scores.label == "positive":
        return "below"
    return "agrees"


def _severity(
    unhappy: bool, low_rating: bool, against: _Standing, confidence: float, found: frozenset[str]
) -> Literal["low", "medium", "high"]:
    if Aspect.SAFETY in found:
        return "high"
    if Aspect.AUTHENTICITY in found:
        return "medium"
    if unhappy and against != "above" and (low_rating or confidence >= SURE_CONFIDENCE):
        return "medium"
    return "low"
