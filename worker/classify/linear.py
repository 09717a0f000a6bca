"""Matrix products with a bias and an activation, by one of two libraries.

`onednn` takes weights that were rearranged once, at load, and applies the activation to each block while it is in the
cache. Measured on AMD EPYC with AVX-512, 1,024 rows of 384 to 1,536, two cores: 453 GFLOP/s in float32 against 190 of
`blas` (MKL, which knows Intel best), 928 against 863 in bfloat16, and GELU for a tenth of its time alone. It is the
operator that torch's own compiler emits, but not a documented one, so `blas` stays for where it is missing.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    Linear = Callable[[torch.Tensor], torch.Tensor]

_TYPICAL_ROWS = 1_024
"""Rows for which oneDNN arranges the weights."""
_ONEDNN_ACTIVATION = {
    "": ("none", ""),
    "erf": ("gelu", "none"),
    "tanh": ("gelu", "tanh"),
    "relu": ("relu", ""),
}


class Kernel(StrEnum):
    """Which library multiplies."""

    ONEDNN = "onednn"
    BLAS = "blas"


def make_linear(
    weight: "torch.Tensor", bias: "torch.Tensor", kernel: Kernel, activation: str = ""
) -> "Linear":
    """A function x [rows, in] -> activation(x @ weight.T + bias) [rows, out].

    `weight` [out, in] and `bias` [out] are in the dtype to compute in. `activation` is one of `architecture.ACTIVATIONS`' values
    or empty. On a CPU the result for a row does not depend on the number of rows, from `pack.ROW_FLOOR` rows up.
    """
    return _onednn(weight, bias, activation) if kernel is Kernel.ONEDNN else _blas(weight, bias, activation)


def _onednn(weight: "torch.Tensor", bias: "torch.Tensor", activation: str) -> "Linear":
    import torch

    arranged = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _TYPICAL_ROWS)  # noqa: SLF001 - see above
    product = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - see above
    name, algorithm = _ONEDNN_ACTIVATION[activation]

    def linear(rows: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = product(rows, arranged, bias, name, [], algorithm)
        return result

    return linear


def _blas(weight: "torch.Tensor", bias: "torch.Tensor", activation: str) -> "Linear":
    from torch.nn.functional import linear

    weight = weight.contiguous()
    return lambda rows: activate(linear(rows, weight, bias), activation)


def activate(rows: "torch.Tensor", activation: str) -> "torch.Tensor":
    """One of `architecture.ACTIVATIONS`' values, or empty, of every number."""
    from torch.nn.functional import gelu, relu

    if not activation:
        return rows
    if activation == "relu":
        return relu(rows)
    return gelu(rows, approximate="tanh" if activation == "tanh" else "none")
