"""What the subscribers get besides the tagged events: ranking, advertising and customer service.

How they are computed, and why so, is in ``worker.signals``. Codes in ``reasons`` and ``aspects`` are open lists: a code is
never renamed, but new ones appear, and a subscriber must pass over those it does not know.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from worker.contracts.inbound import Id
from worker.contracts.sentiment import Label, Probability
from worker.contracts.tagged import Derived


class AdsReason(StrEnum):
    """Why a listing may not be advertised as it is, or what an advertiser should know."""

    NEGATIVE_TONE = "negative_tone"
    """The title reads badly. Blocks."""
    SUPERLATIVE_CLAIM = "superlative_claim"
    """The title claims to be the best, the first, state-level...: advertising law forbids that. Blocks."""
    CONDITION_DISCLOSED = "condition_disclosed"
    """The title says the goods are used, repaired or faulty. Does not block; a negative tone is then expected."""


class CareReason(StrEnum):
    """Why a person should look at a review."""

    NEGATIVE_TONE = "negative_tone"
    """The reviewer is unhappy."""
    LOW_RATING = "low_rating"
    """One or two stars."""
    RATING_ABOVE_TONE = "rating_above_tone"
    """Four or five stars, but unhappy words: stars given by mistake or under pressure."""
    RATING_BELOW_TONE = "rating_below_tone"
    """One or two stars, but happy words: the scale misread, or irony."""


class Aspect(StrEnum):
    """What a review complains about."""

    SAFETY = "safety"
    AUTHENTICITY = "authenticity"
    QUALITY = "quality"
    DELIVERY = "delivery"
    SERVICE = "service"
    PRICE = "price"
    DESCRIPTION = "description"


class RankingSignal(Derived):
    """One piece of evidence about a listing. Key: the listing's id."""

    listing_id: Id
    review_id: Id | None = Field(None, description="The review that is the evidence; null for a title.")
    evidence: Literal["title", "review"]
    polarity: Annotated[float, Field(ge=-1, le=1, description="The sentiment's score.")]
    confidence: Probability
    weight: Annotated[float, Field(gt=0, le=1, description="How much this kind of evidence should count.")]
    verified_purchase: bool | None = Field(
        None, description="As the review says; null for a title or when unknown."
    )


class AdsSignal(Derived):
    """Whether a listing's title may be advertised. Key: the listing's id; the highest source offset is the valid one."""

    listing_id: Id
    seller_id: Id
    tone: Label
    confidence: Probability
    eligible: bool
    reasons: list[str] = Field(description="Codes of AdsReason, in its order.")


class CareAlert(Derived):
    """A review that needs a person. Key: the reviewer's id."""

    review_id: Id
    listing_id: Id
    reviewer_id: Id
    order_id: Id | None = None
    severity: Literal["low", "medium", "high"]
    reasons: list[str] = Field(min_length=1, description="Codes of CareReason, in its order.")
    aspects: list[str] = Field(description="Codes of Aspect, in its order.")
    tone: Label
    confidence: Probability
    rating: Annotated[int, Field(ge=1, le=5)] | None = None
    rating_against_tone: Literal["agrees", "above", "below", "unknown"]
