"""What a batch costs. A trainer takes any function (model, batch) -> scalar loss; recipes bring their own."""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from training.batches import Batch

Objective = Callable[[PreTrainedModel, Batch], torch.Tensor]
"""Scalar mean loss of a batch, in float32, with gradients."""


def logits_of(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Logits [texts, columns] in float32."""
    logits: torch.Tensor = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    return logits.float()


def log_probabilities(logits: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Log-softmax within the allowed columns of every row; 0 in the others, so that products with targets vanish."""
    masked = logits.masked_fill(~allowed, float("-inf"))
    return torch.log_softmax(masked, dim=-1).masked_fill(~allowed, 0.0)


def soft_cross_entropy(logits: torch.Tensor, batch: Batch, *, smoothing: float = 0.0) -> torch.Tensor:
    """Mean cross-entropy over the labelled texts; 0 for a batch without any."""
    labelled = batch.target.sum(-1, keepdim=True)
    share = batch.allowed / batch.allowed.sum(-1, keepdim=True)
    target = (1 - smoothing) * batch.target + smoothing * share * labelled
    losses = -(target * log_probabilities(logits, batch.allowed)).sum(-1)
    return losses.sum() / labelled.sum().clamp(min=1.0)


def cross_entropy(smoothing: float = 0.0) -> Objective:
    """The plain objective, with label smoothing when asked."""

    def objective(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        return soft_cross_entropy(logits_of(model, batch), batch, smoothing=smoothing)

    return objective
