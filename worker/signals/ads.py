"""``ads.signal``: may this listing's title be advertised as it is?

* A claim of being the best or the first blocks, whatever the tone: it is unlawful.
* A negative tone blocks when the model is reasonably sure, because the advertisement would not sell.
* A disclosed defect does not block, and excuses the tone: the words describe the goods, honestly, and a rule that took
  advertising away from those who disclose would teach sellers to hide.
* A title that the model did not read to the end is searched whole: what the shop advertises is the title, not the excerpt.
* Reviews have no say here. They are ranking's evidence; an advertisement shows the title.
"""

import re
import unicodedata

from worker.characters import INVISIBLE
from worker.contracts.envelope import Inbound
from worker.contracts.inbound import ListingCreated
from worker.contracts.sentiment import Scores
from worker.contracts.signals import AdsReason
from worker.signals.lexicons import TitleFindings, title_findings
from worker.signals.signal import Signal
from worker.traditional import TO_SIMPLIFIED

NEGATIVE_CONFIDENCE = 0.6
"""Below it the tone does not block: two in five of such titles are fine."""

_DROP = re.compile(f"[{INVISIBLE}]+")


def ads_signal(inbound: Inbound, scores: Scores, text: str) -> Signal | None:
    """One signal for every tagged listing, none for reviews."""
    event = inbound.event
    if type(event) is not ListingCreated:
        return None
    claims, disclosed = _findings(inbound, text) if scores.truncated else title_findings(text)
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


def _findings(inbound: Inbound, text: str) -> TitleFindings:
    """What is found in the normalised text or in the whole title: 2,000 characters, so 45 ms at the worst (ligatures alone)."""
    composed = unicodedata.normalize("NFKC", _DROP.sub("", inbound.text))
    whole = " ".join(composed.translate(TO_SIMPLIFIED).split())
    found, beyond = title_findings(text), title_findings(whole)
    return TitleFindings(found.claims or beyond.claims, found.disclosed or beyond.disclosed)
