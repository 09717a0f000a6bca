"""Matrix products in whole numbers: half the time of float32 on a CPU without bfloat16.

A weight is rounded to int8 by a scale for each of its rows, and so is the input, by a scale for each of *its* rows: a
token's vector is rounded by its own largest value. So nothing has to be calibrated beforehand, no row knows of its
neighbours, and since sums of whole numbers are exact, a text's answer has the same bits in whatever company it is computed.
(What is called dynamic quantisation takes one scale for the whole batch, and there a loud neighbour changes the answer.)

The product is oneDNN's, through the operator that PyTorch's own compiler emits for quantised models on x86. Measured on AMD
EPYC with AVX2, one thread, 1,024 rows: 2.1 to 2.2 times as fast as its float32 product, 1.7 with the rounding before and the
scaling behind it.
"""

from functools import cache
from typing import TYPE_CHECKING

from worker.classify.linear import activate
from worker.errors import ModelError

if TYPE_CHECKING:
    import torch

    from worker.classify.linear import Linear

LEVELS = 127
"""Steps of a weight on each side of 0."""
_MISSING = "int8 needs PyTorch for x86 with oneDNN"
_SMALLEST = 1e-30
_LOW_BYTE = float(2**23)
"""Added to a number below 2**22 it rounds it, and leaves it in the lowest bits of the float32: a conversion in one addition."""


class IntegerWeight:
    """A weight in whole numbers, arranged for the product. Nothing changes after it is made: any thread may multiply."""

    def __init__(self, rows: "torch.Tensor", scale: "torch.Tensor") -> None:
        """`rows` int8 [out, in] and `scale` float32 [out] stand for `rows * scale[:, None]`.

        Raises:
            ModelError: this build of PyTorch has no such operator.
        """
        import torch

        try:
            self._packed = torch.ops.onednn.qlinear_prepack(rows.contiguous(), None)
        except (AttributeError, RuntimeError) as error:
            raise ModelError(_MISSING) from error
        self._scale = scale.float().contiguous()
        self._zeros = torch.zeros(len(rows), dtype=torch.int64)

    def times(
        self, steps: "torch.Tensor", zero: int, *, scale: float = 1.0, bias: "torch.Tensor | None" = None
    ) -> "torch.Tensor":
        """float32 [n, out]: `scale * (steps - zero)` times the weight, and the bias [out] added; `steps` is uint8 [n, in]."""
        import torch

        product: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            steps, scale, zero, self._packed, self._scale, self._zeros, bias, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return product


@cache
def exact_levels() -> int:
    """Steps of an input, on each side of 0, at which this CPU's products are exact: tried with the largest values.

    127 where there are VNNI instructions. Without them pairs of products are added in 16 bits, which do not hold two of
    the largest, and it is 63.

    Raises:
        ModelError: this build of PyTorch has no such operator, or it is not exact with 63 steps either.
    """
    import torch

    loudest = IntegerWeight(torch.full((16, 64), LEVELS, dtype=torch.int8), torch.ones(16))
    for levels in (LEVELS, LEVELS // 2):
        steps = torch.full((16, 64), 2 * levels + 1, dtype=torch.uint8)
        try:
            found = loudest.times(steps, 0)
        except RuntimeError as error:  # the operator has a name, and no code for this processor
            raise ModelError(_MISSING) from error
        if torch.equal(found, torch.full((16, 16), 64.0 * LEVELS * (2 * levels + 1))):
            return levels
    raise ModelError("products of whole numbers are not exact on this processor")


def make_integer_linear(
    weight: "torch.Tensor", bias: "torch.Tensor", activation: str = "", least: float | None = None
) -> "Linear":
    """A function x [rows, in] -> activation(x @ weight.T + bias) [rows, out] in float32, whose product is in whole numbers.

    `weight` float32 [out, in], of which every row is rounded by its largest value: one that was stored as int8 rows comes
    out as it was. No value of x may be below `least`, where that is given; all steps then lie above it, which makes them
    half as wide.

    Raises:
        ModelError: this machine cannot, see `exact_levels`.
    """
    import torch

    largest = weight.abs().amax(1).clamp_(min=_SMALLEST)
    rows = (weight * (LEVELS / largest)[:, None]).round_().clamp_(-LEVELS, LEVELS)
    scale = largest / LEVELS
    integers = IntegerWeight(rows.to(torch.int8), scale)
    levels = exact_levels()
    if least is not None:
        # x = least + (x - least), and the first part gives every row the same.
        raised = bias + (rows.double().sum(1) * scale * least).float()
        return lambda x: activate(_above(x, integers, raised, least, 2 * levels + 1), activation)
    return lambda x: activate(_around(x, integers, bias, levels), activation)


def _around(x: "torch.Tensor", integers: IntegerWeight, bias: "torch.Tensor", levels: int) -> "torch.Tensor":
    """With steps on both sides of 0."""
    import torch

    loudest = torch.maximum(x.amax(1, keepdim=True), x.amin(1, keepdim=True).neg_())
    step = loudest.clamp_(min=_SMALLEST).div_(levels)
    steps = _low_bytes((x * step.reciprocal()).add_(_LOW_BYTE + levels + 1))
    return torch.addcmul(bias, integers.times(steps, levels + 1), step)


def _above(
    x: "torch.Tensor", integers: IntegerWeight, bias: "torch.Tensor", least: float, levels: int
) -> "torch.Tensor":
    """With steps from `least` upwards."""
    import torch

    step = x.amax(1, keepdim=True).sub_(least).clamp_(min=_SMALLEST).div_(levels)
    steps = _low_bytes((x - least).mul_(step.reciprocal()).add_(_LOW_BYTE))
    return torch.addcmul(bias, integers.times(steps, 0), step)


def _low_bytes(rounded: "torch.Tensor") -> "torch.Tensor":
    """uint8 of float32 numbers that are `_LOW_BYTE` and a whole number below 256. (torch converts float to uint8 one by one.)"""
    import torch

    return rounded.view(torch.int32).to(torch.uint8)
