"""Several models instead of one: probabilities averaged, or weights averaged into one model (a soup).

A soup (Wortsman et al. 2022, arXiv:2203.05482) costs nothing to serve, but only works for runs from the same base checkpoint
whose weights stayed in one basin: evaluate it before it is trusted. Averaging probabilities always works and costs as
many forwards as there are models.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import BertForSequenceClassification

from training import model as models
from training.metrics import Floats
from worker.errors import UsageError


def average_probabilities(members: Sequence[Floats]) -> Floats:
    """The mean of the members' probabilities [rows, labels]; rows still sum to 1."""
    if not members or len({member.shape for member in members}) != 1:
        raise UsageError("an ensemble needs answers of its members to the same rows, in the same labels")
    return np.asarray(np.mean(np.stack(list(members)), axis=0))


def soup(folders: Sequence[Path]) -> BertForSequenceClassification:
    """One model whose every weight is the mean over the runs' models (folders that ``training.model.save`` wrote)."""
    if len(folders) < 2:
        raise UsageError("a soup needs at least two models")
    base, _, columns = models.load(folders[0])
    total = {name: value.detach().clone().double() for name, value in base.state_dict().items()}
    for folder in folders[1:]:
        other, _, other_columns = models.load(folder)
        state = other.state_dict()
        if other_columns != columns or {n: v.shape for n, v in state.items()} != {
            n: v.shape for n, v in total.items()
        }:
            raise UsageError(f"{folder} is not of the same shape and labels as {folders[0]}")
        for name, value in state.items():
            total[name] += value.double()
    with torch.no_grad():
        base.load_state_dict(
            {name: (value / len(folders)).to(base.state_dict()[name].dtype) for name, value in total.items()}
        )
    return base
