"""AdaLoRA's part in a step: ranks that matter little are pruned, one budget for all layers (Zhang et al. 2023).

The order is that of ``peft``: the optimiser's step, then importance and pruning (from that step's gradients), then the
gradients are cleared. The other way round the optimiser would move pruned ranks off zero again.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from peft import PeftModel

_AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")
_ADAPTER = "default"


class RankAllocation:
    """A step hook (:class:`training.hooks.StepHook`) over a model that ``peft`` wrapped with AdaLoRA."""

    def __init__(self, model: PeftModel) -> None:
        self._tuner = cast("Any", model.base_model)
        self._config = cast("Any", model.peft_config[_ADAPTER])
        self._factors = [
            (parameter, "lora_A" in name)
            for name, parameter in model.named_parameters()
            if "lora_A" in name or "lora_B" in name
        ]

    def penalty(self) -> torch.Tensor:
        """Mean distance of the singular vectors from an orthonormal basis; ``peft`` adds it only where it computes the loss."""
        distances = []
        for factor, rows in self._factors:
            products = factor @ factor.T if rows else factor.T @ factor
            distances.append(torch.linalg.matrix_norm(products - torch.eye(len(products))))
        return float(self._config.orth_reg_weight) * torch.stack(distances).mean()

    def after_step(self, step: int) -> None:
        """Follow the importance of every rank, and prune when it is due."""
        self._tuner.update_and_allocate(step)

    def settle(self) -> None:
        """Zero what the pattern prunes: between two prunings, and in an average of weights, such ranks are not quite zero."""
        if self._config.rank_pattern:
            self._tuner.rankallocator.mask_using_rank_pattern(self._tuner.model, self._config.rank_pattern)

    def state_dict(self) -> dict[str, Any]:
        """The pattern and the running averages that it is chosen by."""
        allocator = self._tuner.rankallocator
        return {
            "pattern": self._config.rank_pattern,
            **{name: dict(getattr(allocator, name)) for name in _AVERAGES},
        }

    def load_state_dict(self, stored: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._config.rank_pattern = stored["pattern"]
        for name in _AVERAGES:
            setattr(self._tuner.rankallocator, name, dict(stored[name]))
