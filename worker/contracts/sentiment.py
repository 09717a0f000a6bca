"""What the model found, in the words that subscribers read. The same for every model.

* ``label`` is the most probable of the three; on a tie neutral wins, then positive.
* ``score`` = P(positive) - P(negative), from -1 to 1: how far to lean, for those who rank.
* ``confidence`` is the label's probability, from 1/3 to 1: how sure, for those who act.
* ``truncated`` says that a part of the text was not read.

Probabilities are calibrated (0.8 is right about four times in five on the model's evaluation set) and rounded to six
places, so an answer has the same bytes whether it came from the model or from a cache; they add up to 1 within 2e-6.
"""

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Label = Literal["negative", "neutral", "positive"]
Probability = Annotated[float, Field(ge=0, le=1)]
_PLACES = 6


class Published(BaseModel):
    """Base of everything published: closed, so that what is not in the schema is never sent.

    Subscribers read tolerantly: ``Model.model_validate_json(value, extra="ignore")``.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, json_schema_serialization_defaults_required=True
    )


class Probabilities(Published):
    """How likely each label is."""

    negative: Probability
    neutral: Probability
    positive: Probability


class Sentiment(Published):
    """The tone of one text."""

    label: Label = Field(description="The most probable label; on a tie neutral, then positive.")
    score: Annotated[float, Field(ge=-1, le=1, description="P(positive) - P(negative).")]
    probabilities: Probabilities
    confidence: Probability = Field(description="The label's probability.")
    truncated: bool = Field(description="True when a part of the text was not read.")


class Scores(NamedTuple):
    """The same as plain numbers: what the hot path carries."""

    label: Label
    score: float
    negative: float
    neutral: float
    positive: float
    confidence: float
    truncated: bool

    def payload(self) -> dict[str, object]:
        """As ``Sentiment`` is written."""
        return {
            "label": self.label,
            "score": self.score,
            "probabilities": {"negative": self.negative, "neutral": self.neutral, "positive": self.positive},
            "confidence": self.confidence,
            "truncated": self.truncated,
        }


def scores_of(negative: float, neutral: float, positive: float, *, truncated: bool) -> Scores:
    """Scores from a model's three probabilities. Raises ValueError when one is not a probability (NaN, say)."""
    if not (0.0 <= negative <= 1.0 and 0.0 <= neutral <= 1.0 and 0.0 <= positive <= 1.0):
        raise ValueError("a probability is not between 0 and 1")
    negative, neutral, positive = round(negative, _PLACES), round(neutral, _PLACES), round(positive, _PLACES)
    score = round(positive - negative, _PLACES) + 0.0  # + 0.0 turns -0.0 into 0.0
    if neutral >= positive and neutral >= negative:
        return Scores("neutral", score, negative, neutral, positive, neutral, truncated)
    if positive >= negative:
        return Scores("positive", score, negative, neutral, positive, positive, truncated)
    return Scores("negative", score, negative, neutral, positive, negative, truncated)
