"""``ranking.signal``: how much a title or a review speaks for a listing.

Weights, and why: a verified purchase counts fully; a review that is not known to be one counts half, because it is cheap
to fake; a title counts a tenth, because the seller wrote it. When a part of the text was not read the weight is a fifth
less. Confidence is not folded in: ranking has its own curve for it.
"""

from worker.contracts.envelope import Inbound
from worker.contracts.inbound import ReviewPosted
from worker.contracts.sentiment import Scores
from worker.signals.signal import Signal

_WEIGHT = {"title": 0.1, "review": 0.5, "verified": 1.0}
_WEIGHT_TRUNCATED = {"title": 0.08, "review": 0.4, "verified": 0.8}


def ranking_signal(inbound: Inbound, scores: Scores, text: str) -> Signal:  # noqa: ARG001 - every subscriber's signature
    """One signal for every tagged event."""
    event = inbound.event
    weights = _WEIGHT_TRUNCATED if scores.truncated else _WEIGHT
    review_id: str | None = None
    verified: bool | None = None
    kind: str = inbound.kind
    if type(event) is ReviewPosted:
        review_id, verified = event.review_id, event.verified_purchase
        kind = "verified" if verified else "review"
    return Signal(
        inbound.subject_key,
        {
            "listing_id": event.listing_id,
            "review_id": review_id,
            "evidence": inbound.kind,
            "polarity": scores.score,
            "confidence": scores.confidence,
            "weight": weights[kind],
            "verified_purchase": verified,
        },
    )
