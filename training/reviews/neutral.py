"""How likely neutral is in real reviews.

A recipe that shows each of few neutral texts several times teaches what neutral looks like, and that it is common. What it looks
like stays; how common it is, is set here, by real reviews that a reader labelled.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from training import model as models
from training.calibrate import TEMPERATURES, negative_log_likelihood
from training.data import Row
from training.evaluate import logits_on
from training.predict import probabilities_of
from training.sets import gold_of
from worker.classify.answers import LABELS

KIND = "review"
SHIFTS = np.linspace(-6.0, 6.0, 121)
"""Of the neutral logit."""


def shift_neutral(folder: Path, rows: Sequence[Row], out: Path, *, max_tokens: int) -> float:
    """Write the model in ``folder`` to ``out`` with the neutral logit of reviews moved to fit ``rows``; returns the move.

    It is the one that, with a temperature of its own, makes the rows' labels likeliest (as in prior correction: all that differs
    between two populations whose classes look alike is a constant in the logits). The choice between negative and positive stays
    the same to the bit. Blocks for a forward over all rows.

    :raises UsageError: the model answers no reviews, or a row has another label than the three.
    """
    model, tokenizer, columns = models.load(folder)
    own = columns.of(KIND, LABELS)
    logits, gold = (
        logits_on(model, tokenizer, columns, rows, max_tokens=max_tokens)[:, own],
        gold_of(rows, LABELS),
    )
    neutral = np.array([float(label == "neutral") for label in LABELS])

    def loss(shift: float, temperature: float) -> float:
        moved = logits + shift * neutral
        return negative_log_likelihood(probabilities_of(moved, range(len(LABELS)), temperature), gold)

    best = min(
        ((float(s), float(t)) for s in SHIFTS for t in TEMPERATURES[::4]), key=lambda pair: loss(*pair)
    )
    with torch.no_grad():
        model.classifier.bias[own[LABELS.index("neutral")]] += best[0]
    models.save(model, tokenizer, columns, out)
    return best[0]
