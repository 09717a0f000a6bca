"""From logits to three calibrated probabilities. Pure; one text at a time, so nothing depends on neighbours."""

import math
import re
import struct
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, model_validator

from worker.characters import HAN
from worker.classify.answers import LABELS, ClassifyError, Probabilities, Text

_FLOAT32 = struct.Struct("<f")
_HAN = re.compile(f"[{HAN}]")


class KindHead(BaseModel):
    """How one kind of text reads its columns of the logits: an entry of `kinds` in bundle.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: tuple[str, ...] = Field(min_length=1)
    """One of the three labels for each column. A label may own several (five stars); their probabilities add up."""
    columns: tuple[int, ...] = Field(min_length=1)
    activation: str = Field("softmax", pattern="^(softmax|sigmoid)$")
    """`sigmoid`: each column by itself; several are scaled to add up to 1. One column alone: the label against its opposite."""
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Logits are divided by it: the calibration."""
    temperature_han: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Takes its place for texts with a Chinese character, where the two were calibrated apart."""
    neutral_share: float = Field(0.5, ge=0, le=1)
    """Used when no column is neutral, see :func:`with_neutral`."""

    @model_validator(mode="after")
    def _fits(self) -> "KindHead":
        if len(self.labels) != len(self.columns):
            raise ValueError(f"{len(self.labels)} labels for {len(self.columns)} columns")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("a column is read twice")
        unknown = set(self.labels) - set(LABELS)
        if unknown:
            raise ValueError(f"labels must be among {', '.join(LABELS)}; found {', '.join(sorted(unknown))}")
        if not {"negative", "positive"} <= set(self.labels) and (self.columns, self.activation) != (
            self.columns[:1],
            "sigmoid",
        ):
            raise ValueError("both negative and positive are needed, or one column with a sigmoid")
        if len(self.columns) == 1 and self.labels == ("neutral",):
            raise ValueError("one column alone must be negative or positive")
        return self

    def temperature_of(self, text: str) -> float:
        """What the logits of this normalised text are divided by."""
        if self.temperature_han is not None and has_han(text):
            return self.temperature_han
        return self.temperature


def has_han(text: str) -> bool:
    """Whether there is a Chinese character in a normalised text. A review in Chinese with English brands has one."""
    return _HAN.search(text) is not None


def probabilities_of(logits: Sequence[float], head: KindHead, text: Text) -> Probabilities | ClassifyError:
    """The answer for one text from its row of logits [all columns]; a ClassifyError when one of its own is not finite."""
    temperature = head.temperature_of(text.text)
    own = [logits[column] / temperature for column in head.columns]
    if not all(map(math.isfinite, own)):
        return ClassifyError("not_finite", "the model's results for this text are not numbers")
    shares = _softmax(own) if head.activation == "softmax" else _sigmoid(own)
    total = dict.fromkeys(LABELS, 0.0)
    for label, share in zip(head.labels, shares, strict=True):
        total[label] += share
    negative, neutral, positive = total["negative"], total["neutral"], total["positive"]
    if head.labels == ("positive",):
        negative = 1.0 - positive
    elif head.labels == ("negative",):
        positive = 1.0 - negative
    if "neutral" not in head.labels:
        # Shares of several columns may add up to more than 1 by a bit.
        negative, neutral, positive = with_neutral(min(1.0, positive), head.neutral_share)
    return Probabilities(_float32(negative), _float32(neutral), _float32(positive), text.truncated)


def with_neutral(positive: float, neutral_share: float) -> tuple[float, float, float]:
    """Negative, neutral, positive for a model that knows two labels only.

    With p = P(positive): neutral = 2 * neutral_share * min(p, 1 - p), taken from both sides in equal parts. So an
    undecided model says neutral with at most `neutral_share`, a certain one never, and negative and positive keep their
    order. Neutral becomes the label where max(p, 1 - p) < 3 * share / (1 + 3 * share): below 0.6 for a share of 0.5, never
    for a share up to 1/3.
    """
    neutral = 2 * neutral_share * min(positive, 1 - positive)
    return 1 - positive - neutral / 2, neutral, positive - neutral / 2


def _softmax(values: Sequence[float]) -> list[float]:
    largest = max(values)
    exponents = [math.exp(value - largest) for value in values]
    total = math.fsum(exponents)
    return [exponent / total for exponent in exponents]


def _sigmoid(values: Sequence[float]) -> list[float]:
    odds = [math.exp(-abs(value)) for value in values]  # of the less likely side; cannot overflow
    shares = [(1 if value >= 0 else odd) / (1 + odd) for value, odd in zip(values, odds, strict=True)]
    if len(shares) == 1:
        return shares
    total = math.fsum(shares)
    if total == 0.0:
        return [1 / len(shares)] * len(shares)
    return [share / total for share in shares]


def _float32(value: float) -> float:
    return float(_FLOAT32.unpack(_FLOAT32.pack(value))[0])
