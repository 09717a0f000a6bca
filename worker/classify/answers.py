"""What goes into the model and what comes out of it, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

LABELS = ("negative", "neutral", "positive")
KINDS = ("review", "title")
"""Kinds of text that the worker reads."""
"""The three labels of every answer, in the order of its probabilities."""


@dataclass(slots=True)
class Text:
    """One text ready for the model."""

    kind: str
    """Which group of the model's columns answers: title or review."""
    text: str
    """Normalised."""
    ids: Sequence[int]
    """Token ids with the special ones, at most the bundle's `max_tokens`."""
    truncated: bool
    """Whether a part of the text is not in `ids`."""


class Probabilities(NamedTuple):
    """A calibrated answer. Each number is exact in float32, so a cache may store four bytes for it."""

    negative: float
    neutral: float
    positive: float
    truncated: bool

    @property
    def label(self) -> str:
        """The most probable label; on a tie neutral, then positive."""
        if self.neutral >= self.positive and self.neutral >= self.negative:
            return "neutral"
        return "positive" if self.positive >= self.negative else "negative"

    @property
    def confidence(self) -> float:
        """The label's probability."""
        return max(self.negative, self.neutral, self.positive)

    @property
    def score(self) -> float:
        """P(positive) - P(negative)."""
        return self.positive - self.negative


@dataclass(frozen=True, slots=True)
class ClassifyError:
    """Why one text has no answer, while its neighbours have theirs."""

    code: str
    """`unknown_kind`, `not_finite`, `out_of_memory` or `failed`."""
    detail: str
    """For a person; holds nothing of the text."""


@dataclass(slots=True)
class CallStats:
    """What one call of the engine did."""

    forwards: int = 0
    tokens: int = 0
    """Tokens of texts, as often as a forward read them."""
    padding: int = 0
    """Rows that were computed and thrown away."""
    out_of_memory: int = 0
    """Forwards that ran out of memory and were tried again with half the tokens."""
    failed_texts: int = 0

    def __add__(self, other: "CallStats") -> "CallStats":
        return CallStats(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))
