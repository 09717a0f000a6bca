"""Weights as int8 with one scale a row: a quarter of float32's size, and answers that do not depend on the batch.

Only storage is int8. The worker multiplies int8 by scale at load and computes in float32 or bf16, so that a text's answer
never depends on its neighbours, as it does with activations that are quantised by the range of a batch.
"""

from collections.abc import Mapping
from pathlib import Path

import torch

from worker.classify.integers import LEVELS

SCALE_SUFFIX = ".scale"


def quantise_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """int8 [rows, columns] and float32 scale [rows], so that weight is nearly int8 * scale[:, None].

    The scale of a row is the one of 16 shrunken ranges with the least squared error.
    """
    weight = weight.float()
    largest = weight.abs().amax(1).clamp(min=1e-12)
    best_error = torch.full_like(largest, float("inf"))
    best_scale = largest / LEVELS
    for share in torch.linspace(0.7, 1.0, 16):
        scale = largest * share / LEVELS
        error = (_round(weight, scale) * scale[:, None] - weight).square().sum(1)
        better = error < best_error
        best_error = torch.where(better, error, best_error)
        best_scale = torch.where(better, scale, best_scale)
    return _round(weight, best_scale).to(torch.int8), best_scale


def _round(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return (weight / scale[:, None]).round().clamp(-LEVELS, LEVELS)


def quantise_state(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every matrix as int8 rows with ``<key>.scale``; vectors stay float32."""
    stored: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if value.ndim == 2 and value.is_floating_point():
            stored[name], stored[name + SCALE_SUFFIX] = quantise_rows(value)
        elif value.is_floating_point():
            stored[name] = value.float().contiguous()
    return stored


def half_state(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every matrix as float16; vectors stay float32."""
    return {
        name: (value.half() if value.ndim == 2 else value.float()).contiguous()
        for name, value in state.items()
        if value.is_floating_point()
    }


def dequantise_state(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """float32 weights of what :func:`quantise_state` or :func:`half_state` made."""
    return {
        name: value.float() * stored[name + SCALE_SUFFIX].float()[:, None]
        if name + SCALE_SUFFIX in stored
        else value.float()
        for name, value in stored.items()
        if not name.endswith(SCALE_SUFFIX)
    }


def quantise_folder(trained: Path, out: Path) -> float:
    """Write the model with int8-rounded weights (as float32). Returns the mean relative error of its matrices."""
    from training import model as models
    from training.runs import copy_max_tokens

    model, tokenizer, columns = models.load(trained)
    state = dict(model.state_dict())
    rounded = dequantise_state(quantise_state(state))
    errors = [
        float((rounded[name] - value).norm() / value.norm().clamp(min=1e-12))
        for name, value in state.items()
        if value.ndim == 2 and name in rounded
    ]
    model.load_state_dict(rounded, strict=False)
    models.save(model, tokenizer, columns, out)
    copy_max_tokens(trained, out)
    return sum(errors) / max(1, len(errors))
