"""From a checkpoint's own label names to the worker's three. Pure."""

import re
from collections.abc import Mapping, Sequence

from worker.classify.answers import LABELS
from worker.errors import ModelError, UsageError

_NAMES = {
    "negative": {"negative", "neg", "negativ", "bad", "very negative", "负面", "消极", "差评"},
    "neutral": {"neutral", "neu", "mixed", "中性", "中立"},
    "positive": {"positive", "pos", "positiv", "good", "very positive", "正面", "积极", "好评"},
}
_LONGEST_SCALE = 5
"""What stars are counted on when they are not just those from 1 up to how many there are."""
_STARS = re.compile(r"^([1-5])(?:\s*(?:stars?|星))?$")
_NAMELESS = re.compile(r"^label_\d+$", re.IGNORECASE)
_REMEDY = "say what each column means: --labels negative,positive (or negative,neutral,positive, or 1,2,3,4,5 for stars)"


def labels_given(names: Sequence[str], columns: int) -> tuple[str, ...]:
    """One of the three labels for each column, from names that the user gave. Raises UsageError when they do not fit."""
    if len(names) != columns:
        raise UsageError(f"{len(names)} labels for a model with {columns} columns", hint=_REMEDY)
    labels = _labels(names)
    if labels is None:
        raise UsageError(f"cannot tell what the labels {', '.join(names)} mean", hint=_REMEDY)
    return labels


def labels_of_checkpoint(id2label: object, columns: int) -> tuple[str, ...]:
    """The same from a configuration's id2label, whatever stands there.

    Raises:
        ModelError: it says nothing, and a guess would swap answers.
    """
    stored = id2label if isinstance(id2label, Mapping) else {}
    names = [str(stored.get(str(column), f"LABEL_{column}")) for column in range(columns)]
    labels = None if any(_NAMELESS.match(name) for name in names) else _labels(names)
    if labels is None:
        raise ModelError(
            f"the checkpoint's labels ({', '.join(names)}) do not say what they mean", hint=_REMEDY
        )
    return labels


def _labels(names: Sequence[str]) -> tuple[str, ...] | None:
    stars = [_STARS.match(name.strip().lower()) for name in names]
    if len(names) > 1 and all(stars):
        given = [int(star[1]) for star in stars if star]
        scale = len(given) if sorted(given) == list(range(1, len(given) + 1)) else _LONGEST_SCALE
        return tuple(_of_star(star, scale) for star in given)
    found = tuple(
        next((label for label in LABELS if name.strip().lower().replace("_", " ") in _NAMES[label]), "")
        for name in names
    )
    return found if all(found) else None


def _of_star(star: int, stars: int) -> str:
    """Below the middle negative, the middle neutral, above it positive."""
    twice_from_middle = 2 * star - (stars + 1)
    return LABELS[1 + (twice_from_middle > 0) - (twice_from_middle < 0)]
