"""Scores of predicted probabilities against labels. Pure functions over numpy arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
BINS = 15
"""Of confidence, for calibration."""


@dataclass(frozen=True)
class Scores:
    """Accuracy, macro-F1, expected calibration error and F1 per class, all 0 to 1."""

    rows: int
    accuracy: float
    macro_f1: float
    ece: float
    f1: dict[str, float]


def accuracy(probabilities: Floats, gold: Ints) -> float:
    """Share of rows whose likeliest label is right. ``probabilities`` [rows, labels], ``gold`` [rows]."""
    return float((probabilities.argmax(-1) == gold).mean()) if len(gold) else 0.0


def confusion(probabilities: Floats, gold: Ints) -> Ints:
    """Counts [gold label, predicted label]."""
    labels = probabilities.shape[1]
    return np.bincount(gold * labels + probabilities.argmax(-1), minlength=labels * labels).reshape(
        labels, labels
    )


def f1_per_class(matrix: Ints) -> Floats:
    """F1 of every label from a confusion matrix; 0 for a label that neither occurs nor is predicted."""
    hits = np.diag(matrix).astype(float)
    return np.asarray(2 * hits / np.maximum(1, matrix.sum(0) + matrix.sum(1)))


def reliability(probabilities: Floats, gold: Ints) -> tuple[Floats, Floats, Ints]:
    """Mean confidence, accuracy and count of ``BINS`` equal-width bins of confidence; each array [bins]."""
    confidence = probabilities.max(-1)
    right = probabilities.argmax(-1) == gold
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    safe = np.maximum(1, count)
    return (
        np.bincount(place, weights=confidence, minlength=BINS) / safe,
        np.bincount(place, weights=right.astype(float), minlength=BINS) / safe,
        count,
    )


def expected_calibration_error(probabilities: Floats, gold: Ints) -> float:
    """Mean distance between confidence and accuracy over equal-width bins, weighted by their counts."""
    confidence, right, count = reliability(probabilities, gold)
    return float((np.abs(confidence - right) * count).sum() / max(1, len(gold)))


def score(probabilities: Floats, gold: Ints, labels: Sequence[str]) -> Scores:
    """All scores of one set. The macro mean runs over the labels that occur in ``gold``."""
    matrix = confusion(probabilities, gold)
    f1 = f1_per_class(matrix)
    present = matrix.sum(1) > 0
    return Scores(
        rows=len(gold),
        accuracy=accuracy(probabilities, gold),
        macro_f1=float(f1[present].mean()) if present.any() else 0.0,
        ece=expected_calibration_error(probabilities, gold),
        f1={label: float(value) for label, value in zip(labels, f1, strict=True)},
    )
