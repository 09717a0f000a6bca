"""``ads.signal``: may this listing's title be advertised as it is?

* A claim of being the best or the first blocks, whatever the tone: it is unlawful.
* A negative tone blocks when the model is reasonably sure, because the advertisement would not sell.
* A disclosed defect does not block, and excuses the tone: the words describe the goods, honestly, and a rule that took
  advertising away from those who disclose would teach sellers to hide.
* Reviews have no say here. They are ranking's evidence; an advertisement shows the title.
"""

from worker.contracts.envelope import Inbound
from worker.contracts.inbound import ListingCreated
from worker.contracts.sentiment import Scores
from worker.contracts.signals import AdsReason
from worker.signals.lexicons import title_findings
from worker.signals.signal import Signal

NEGATIVE_CONFIDENCE = 0.6
"""Below it the tone does not block: two in five of such titles are fine."""


def ads_signal(inbound: Inbound, scores: Scores, text: str) -> Signal | None:
    """One signal for every tagged listing, none for reviews."""
    event = inbound.event
    if type(event) is not ListingCreated:
        return None
    claims, disclosed = title_findings(text)
    negative = scores.label == "negative" and scores.confidence >= NEGATIVE_CONFIDENCE and not disclosed
    reasons: list[str] = []
    if negative:
        reasons.append(AdsReason.NEGATIVE_TONE.value)
    if claims:
        reasons.append(AdsReason.SUPERLATIVE_CLAIM.value)
    if disclosed:
        reasons.append(AdsReason.CONDITION_DISCLOSED.value)
    return Signal(
        inbound.subject_key,
        {
            "listing_id": event.listing_id,
            "seller_id": event.seller_id,
            "tone": scores.label,
            "confidence": scores.confidence,
            "eligible": not (negative or claims),
            "reasons": reasons,
        },
    )
