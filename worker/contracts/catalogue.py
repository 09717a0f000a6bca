"""Every message there is: its type, version, model, topic and key. One line each.

A new input or output is a model and a line here; the schemas, the AsyncAPI document and the checks follow from it.
"""

from typing import Literal, NamedTuple

from pydantic import BaseModel

from worker.contracts import topics
from worker.contracts.inbound import ListingCreated, ReviewPosted
from worker.contracts.outbound import dataschema
from worker.contracts.signals import AdsSignal, CareAlert, RankingSignal
from worker.contracts.tagged import ListingTagged, ReviewTagged


class MessageType(NamedTuple):
    """One type of message in its current major version."""

    name: str
    major: int
    model: type[BaseModel]
    topic: str
    key_field: str
    direction: Literal["in", "out"]
    summary: str

    @property
    def versioned(self) -> str:
        """For instance ``review.tagged.v1``: how ids and files name it."""
        return f"{self.name}.v{self.major}"

    @property
    def dataschema(self) -> str:
        """What ``ce_dataschema`` says."""
        return dataschema(self.name, self.major)


LISTING_CREATED = MessageType(
    "listing.created",
    1,
    ListingCreated,
    topics.LISTINGS_CREATED,
    "listing_id",
    "in",
    "A product was put on sale.",
)
REVIEW_POSTED = MessageType(
    "review.posted", 1, ReviewPosted, topics.REVIEWS_POSTED, "listing_id", "in", "A buyer reviewed a listing."
)
LISTING_TAGGED = MessageType(
    "listing.tagged",
    1,
    ListingTagged,
    topics.LISTINGS_TAGGED,
    "listing_id",
    "out",
    "The tone of a listing's title.",
)
REVIEW_TAGGED = MessageType(
    "review.tagged", 1, ReviewTagged, topics.REVIEWS_TAGGED, "listing_id", "out", "The tone of a review."
)
RANKING_SIGNAL = MessageType(
    "ranking.signal",
    1,
    RankingSignal,
    topics.RANKING_SIGNALS,
    "listing_id",
    "out",
    "Evidence about a listing.",
)
ADS_SIGNAL = MessageType(
    "ads.signal", 1, AdsSignal, topics.ADS_SIGNALS, "listing_id", "out", "Whether a title may be advertised."
)
CARE_ALERT = MessageType(
    "care.alert", 1, CareAlert, topics.CARE_ALERTS, "reviewer_id", "out", "A review that needs a person."
)

CATALOGUE: tuple[MessageType, ...] = (
    LISTING_CREATED,
    REVIEW_POSTED,
    LISTING_TAGGED,
    REVIEW_TAGGED,
    RANKING_SIGNAL,
    ADS_SIGNAL,
    CARE_ALERT,
)
