"""Weights from a safetensors file, in float32. No other format is read: a pickle runs code."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from worker.classify.bundle import Bundle
from worker.classify.manifest import WEIGHTS
from worker.errors import ModelError

if TYPE_CHECKING:
    import torch

SCALE_SUFFIX = ".scale"


def read_weights(bundle: Bundle) -> "dict[str, torch.Tensor]":
    """Every weight in float32, in memory of its own.

    Not by `load_file`, which maps the file: who wrote into it later would change the answers of a worker that runs, or end it
    by a bus error.

    Raises:
        ModelError: the file is not the one that was checked, no safetensors file, or a scale does not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        stored = load(bundle.content(WEIGHTS))
    except (SafetensorError, KeyError) as error:  # a KeyError is a type that torch has not
        raise ModelError(
            f"{bundle.folder / WEIGHTS} is not a safetensors file that can be read: {error}"
        ) from error
    return dequantise(stored)


def dequantise(stored: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """float32 weights; an int8 matrix is multiplied by its rows' scales, stored as `<key>.scale` [rows].

    Raises:
        ModelError: a weight of another type (what it would mean is nobody's to guess), without its scale, or not finite.
    """
    import torch

    floats = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
    weights: dict[str, torch.Tensor] = {}
    for key, value in stored.items():
        if key.endswith(SCALE_SUFFIX) and key.removesuffix(SCALE_SUFFIX) in stored:
            continue
        scale = stored.get(key + SCALE_SUFFIX)
        if value.dtype == torch.int8:
            if (
                scale is None
                or value.ndim != 2
                or scale.dtype not in floats
                or scale.shape != value.shape[:1]
            ):
                raise ModelError(f"the weight {key} is int8 and has no scale for each of its rows")
        elif value.dtype not in floats or scale is not None:
            raise ModelError(
                f"the weight {key} is {str(value.dtype).removeprefix('torch.')}{'' if scale is None else ' with a scale'}",
                hint="weights are floats of 16, 32 or 64 bits, or int8 with a scale for each row",
            )
        # A copy even of float32: a matrix product's bits may depend on where a matrix begins, and torch aligns its memory.
        widened = value.to(torch.float32, copy=True)
        weights[key] = widened if scale is None else widened.mul_(scale.float()[:, None])
        if not torch.isfinite(weights[key]).all():
            raise ModelError(f"the weight {key} holds values that are not finite")
    return weights
