"""Which parameters train: all, the head only, the top layers, or more and more of them from the top."""

from typing import Literal

from transformers import BertForSequenceClassification

from training.hooks import Hook, StepContext
from training.optim import depth_of
from worker.errors import UsageError

Freezing = Literal["none", "head", "top", "gradual"]

THAWED_BY = 0.5
"""With gradual thawing, one layer after the other joins from the top; after this share of the run all train."""


def freeze(model: BertForSequenceClassification, how: Freezing, top_layers: int = 0) -> list[Hook]:
    """Freeze parameters in place. Returns what the trainer must do after each backward (thawing layer by layer)."""
    if how == "none":
        return []
    layers = int(model.config.num_hidden_layers)
    if how == "top" and not 1 <= top_layers <= layers:
        raise UsageError(f"--top-layers must be within 1..{layers}")
    if how == "gradual":
        # Gradients of layers that are still frozen are dropped, so that the optimiser never sees them.
        def thaw(context: StepContext) -> None:
            # Below the last layer lie the embeddings.
            deepest = int(context.progress / THAWED_BY * (layers + 1))
            for name, parameter in context.model.named_parameters():
                if depth_of(name, layers) > deepest:
                    parameter.grad = None

        return [thaw]
    deepest = 0 if how == "head" else top_layers
    for name, parameter in model.named_parameters():
        parameter.requires_grad = depth_of(name, layers) <= deepest
    return []
