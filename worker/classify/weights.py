"""Weights from a safetensors file, in float32. No other format is read: a pickle runs code."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import ModelError

if TYPE_CHECKING:
    import torch

SCALE_SUFFIX = ".scale"


def read_weights(path: Path) -> "dict[str, torch.Tensor]":
    """Every weight in float32. Raises ModelError when the file is no safetensors file or a scale does not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a safetensors file that can be read: {error}") from error
    return dequantise(stored)


def dequantise(stored: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """float32 weights; an int8 matrix is multiplied by its rows' scales, stored as `<key>.scale` [rows]."""
    import torch

    weights: dict[str, torch.Tensor] = {}
    for key, value in stored.items():
        if key.endswith(SCALE_SUFFIX) and key.removesuffix(SCALE_SUFFIX) in stored:
            continue
        scale = stored.get(key + SCALE_SUFFIX)
        if value.dtype == torch.int8 and (scale is None or scale.shape != value.shape[:1]):
            raise ModelError(f"the weight {key} is int8 and has no scale for each of its rows")
        weights[key] = value.float() if scale is None else value.float() * scale.float()[:, None]
        if not torch.isfinite(weights[key]).all():
            raise ModelError(f"the weight {key} holds values that are not finite")
    return weights
