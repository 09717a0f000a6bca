"""Logits of a model over many texts, in length-sorted batches."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from training.batches import Example, in_batches
from training.metrics import Floats
from training.model import Columns
from training.objective import logits_of


def logits_for(
    model: PreTrainedModel,
    examples: Sequence[Example],
    columns: Columns,
    *,
    pad_id: int,
    bfloat16: bool = False,
) -> Floats:
    """Logits [examples, columns] of the model in evaluation mode."""
    model.train(False)
    result = np.zeros((len(examples), columns.width))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        for chosen, batch in in_batches(examples, columns, pad_id=pad_id):
            result[chosen] = logits_of(model, batch).numpy()
    return result


def probabilities_of(logits: Floats, columns: Sequence[int], temperature: float | Floats = 1.0) -> Floats:
    """Softmax within these columns, those of a kind or of some of its labels: [rows, columns].

    ``temperature``: of all rows, or [rows, 1].
    """
    scaled = logits[:, list(columns)] / temperature
    exponent = np.exp(scaled - scaled.max(-1, keepdims=True))
    return np.asarray(exponent / exponent.sum(-1, keepdims=True))
