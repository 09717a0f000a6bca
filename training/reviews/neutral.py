"""How likely neutral is in real reviews.

A recipe that shows each of few neutral texts several times teaches what neutral looks like, and that it is common. What it looks
like stays; how common it is, is set here, by real reviews that a reader labelled.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from training import model as models
from training.calibrate import Temperature, in_han, log_losses
from training.data import Row
from training.evaluate import logits_on
from training.predict import probabilities_of
from training.runs import copy_max_tokens
from training.sets import gold_of
from worker.classify.answers import LABELS
from worker.errors import UsageError

KIND = "review"
SHIFTS = np.linspace(-8.0, 8.0, 321)
"""Of the neutral logit."""


def shift_neutral(
    folder: Path, rows: Sequence[Row], out: Path, *, temperature: Temperature, max_tokens: int
) -> float:
    """Write the model in ``folder`` to ``out`` with the neutral logit of reviews moved to fit ``rows``; returns the move.

    It is the one that makes the rows' labels likeliest at the ``temperature`` that will be served (as in prior correction:
    all that differs between two populations whose classes look alike is a constant in the logits). The choice between
    negative and positive stays the same to the bit. Blocks for a forward over all rows.

    :raises UsageError: the model has no neutral column for reviews, there are no rows, or one has another label than the three.
    """
    model, tokenizer, columns = models.load(folder)
    if "neutral" not in columns.labels.get(KIND, ()):
        raise UsageError(f"the model in {folder} has no neutral column for reviews")
    if not rows:
        raise UsageError("no review is known to be neutral or not, so nothing says how likely neutral is")
    own, gold, divisor = columns.of(KIND, LABELS), gold_of(rows, LABELS), temperature.of(in_han(rows))
    logits = logits_on(model, tokenizer, columns, rows, max_tokens=max_tokens)[:, own]
    neutral = np.array([float(label == "neutral") for label in LABELS])

    def loss(shift: float) -> float:
        shares = probabilities_of(logits + shift * neutral, range(len(LABELS)), divisor)
        return float(log_losses(shares, gold).mean())

    best = min((float(shift) for shift in SHIFTS), key=loss)
    with torch.no_grad():
        model.classifier.bias[own[LABELS.index("neutral")]] += best
    models.save(model, tokenizer, columns, out)
    copy_max_tokens(folder, out)
    return best
