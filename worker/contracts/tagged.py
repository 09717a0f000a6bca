"""``listing.tagged`` and ``review.tagged``: for everyone.

Ids, labels and numbers only. No text of the input, so these topics need no erasure.

The publish time is not in here but in the header ``ce_time``: a duplicate's value is byte for byte the same.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from worker.contracts.inbound import Id
from worker.contracts.sentiment import Published, Sentiment


class ModelRef(Published):
    """Which model spoke."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    digest: Annotated[
        str, Field(pattern=r"^[0-9a-f]{12,64}$", description="First digits of the bundle's SHA-256.")
    ]
    precision: Literal["float32", "bfloat16", "int8"] | None = Field(
        None,
        description="Arithmetic of the forward. float32 and bfloat16 differ in the last digits, int8 from both in the second.",
    )


class SourceRef(Published):
    """The input record that an event was made from. Latest-state readers keep the highest offset."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    id: str = Field(description="The input's CloudEvents id; `topic:partition:offset` when it had none.")
    timestamp_ms: int | None = Field(
        None, description="The input record's Kafka timestamp, Unix milliseconds."
    )


class Derived(Published):
    """What every event of ours says about where it comes from."""

    event_at: AwareDatetime | None = Field(
        None,
        description="When it happened, as the producer of the input says. UTC. When it was tagged is in `ce_time`.",
    )
    model: ModelRef
    source: SourceRef


class ListingTagged(Derived):
    """A listing's title was read."""

    listing_id: Id
    seller_id: Id
    sentiment: Sentiment


class ReviewTagged(Derived):
    """A review was read."""

    review_id: Id
    listing_id: Id
    reviewer_id: Id
    sentiment: Sentiment
