"""R-Drop: two passes with different dropout must agree (Liang et al. 2021, arXiv:2106.14448).

Loss = mean of the two cross-entropies + ``weight`` x the symmetric Kullback-Leibler divergence between the two answers,
KL(p||q)/2 + KL(q||p)/2, within the columns of each text's kind. Needs dropout; a step takes about twice the time.
"""

import torch
from transformers import PreTrainedModel

from training.batches import Batch
from training.objective import Objective, log_probabilities, logits_of, soft_cross_entropy


def r_drop(weight: float = 1.0, *, smoothing: float = 0.0) -> Objective:
    """The objective. ``weight`` 1 to 5 in the paper; larger for larger models."""

    def objective(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        first, second = logits_of(model, batch), logits_of(model, batch)
        plain = soft_cross_entropy(first, batch, smoothing=smoothing) + soft_cross_entropy(
            second, batch, smoothing=smoothing
        )
        return plain / 2 + weight * symmetric_divergence(first, second, batch.allowed)

    return objective


def symmetric_divergence(first: torch.Tensor, second: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Mean over texts of (KL(p||q) + KL(q||p)) / 2 for logits [texts, columns], within the allowed columns. At least 0."""
    log_p, log_q = log_probabilities(first, allowed), log_probabilities(second, allowed)
    p, q = log_p.exp() * allowed, log_q.exp() * allowed
    return ((p - q) * (log_p - log_q)).sum(-1).mean() / 2
