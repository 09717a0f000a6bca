"""What recipes may do within a step of the trainer, and what of theirs a checkpoint must hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from transformers import PreTrainedModel

from training.batches import Batch
from training.objective import Objective


@dataclass(frozen=True)
class StepContext:
    """What a hook sees after the backward of one batch. Gradients hold this batch only, also under accumulation."""

    model: PreTrainedModel
    batch: Batch
    objective: Objective
    progress: float = 0.0
    """How far the run is, 0 to 1."""
    bfloat16: bool = False
    share: float = 1.0
    """Share of this batch in the step: 1 / accumulated batches."""

    def backward(self) -> None:
        """Forward and backward of the batch once more, adding to the gradients: what perturbing hooks need."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = self.objective(self.model, self.batch) * self.share
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped


Hook = Callable[[StepContext], None]
"""Runs after the backward of every batch."""


class Stateful(Protocol):
    """What remembers something beyond the weights that decides how the run goes on. Lies in the checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """All of it, as tensors, numbers, words, and lists and mappings of them."""
        ...

    def load_state_dict(self, stored: Mapping[str, Any]) -> None:
        """Go on from there."""
        ...


class StepHook(Stateful, Protocol):
    """What acts once a step, whatever the number of accumulated batches and processes. Must do the same in all of them."""

    def penalty(self) -> torch.Tensor:
        """Scalar that is added to the loss of every batch."""
        ...

    def after_step(self, step: int) -> None:
        """Runs after the optimiser's step number ``step`` (from 0). The step's averaged, clipped gradients still stand."""
        ...

    def settle(self) -> None:
        """Bring the weights into the form that is served: called before they are scored, and on the weights that are kept."""
        ...
