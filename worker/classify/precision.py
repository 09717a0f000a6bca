"""Which precision and which matrix library serve, decided at start.

bfloat16 is several times faster than float32 on a CPU that has instructions for it, and ten times slower on one that has
not, so it is measured. The choice changes results in the third digit; it is part of the engine's identity, and must come
out the same on every replica of a machine type and at every start, or a replay would not repeat the first answer. So the
measurement counts CPU time of one thread, which other processes do not disturb, and the library is not measured at all. int8 is
never chosen by itself: it gives one answer in two hundred another label, which is for the operator to want.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from worker.classify.integers import exact_levels
from worker.classify.linear import Kernel, make_linear
from worker.errors import ModelError

if TYPE_CHECKING:
    import torch

_ROWS = 256
_ROUNDS = 9
_HOPELESS = 3.0
"""How many times slower than float32 bfloat16 must have been in two rounds for the others to be spared."""
BFLOAT16_GAIN = 1.4
"""bfloat16 must be this many times faster to be worth its digits. Measured: 2.0 with AVX512-BF16, 0.1 with AVX2 alone."""


@dataclass(frozen=True)
class Choice:
    """What will compute."""

    precision: str
    """`float32`, `bfloat16` or `int8`."""
    kernel: Kernel
    """Of the products that are not in whole numbers."""
    seconds: dict[str, float]
    """What was measured, by precision: one product's least CPU seconds. Empty where nothing was."""

    @property
    def integers(self) -> bool:
        """Whether the encoder multiplies whole numbers."""
        return self.precision == "int8"

    @property
    def dtype(self) -> "torch.dtype":
        """What everything else is computed in."""
        return dtype_of(self.precision)


def dtype_of(precision: str) -> "torch.dtype":
    """What torch computes in: bfloat16, or float32, which also stands between the products of int8."""
    import torch

    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def choose(asked: str, device: "torch.device", hidden: int, intermediate: int) -> Choice:
    """Choose for an encoder of that width. `asked` is `auto`, `float32`, `bfloat16` or `int8`. Takes about 30 ms on a CPU with
    instructions for bfloat16, and 0.1 s on one without.

    Raises:
        ModelError: another than bfloat16 on a GPU, or int8 where the processor or torch cannot.
    """
    if device.type == "cuda":
        # bfloat16 is what the variable-length attention kernel takes; float32 has no packed path there.
        if asked not in ("auto", "bfloat16"):
            raise ModelError(
                "on a GPU the model computes in bfloat16 only",
                hint="leave TAGLINE_MODEL_PRECISION out, or set TAGLINE_MODEL_DEVICE=cpu as well",
            )
        return Choice("bfloat16", Kernel.BLAS, {})
    if asked == "int8":
        try:
            exact_levels()
        except ModelError as error:
            raise ModelError(str(error), hint="leave TAGLINE_MODEL_PRECISION out") from error
    if asked != "auto":
        return Choice(asked, usable_kernel(asked), {})
    seconds = measure(hidden, intermediate)
    precision = decide(seconds)
    return Choice(precision, usable_kernel(precision), seconds)


def decide(seconds: dict[str, float]) -> Literal["float32", "bfloat16"]:
    """The precision for given times. Pure."""
    return "bfloat16" if seconds["bfloat16"] * BFLOAT16_GAIN < seconds["float32"] else "float32"


def measure(hidden: int, intermediate: int) -> dict[str, float]:
    """Least CPU seconds of one product [rows, hidden] x [hidden, intermediate] on one thread, by precision.

    Where bfloat16 is hopeless, and so one product of it slow, two rounds are enough.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        products: dict[str, Callable[[], object]] = {}
        for precision in ("float32", "bfloat16"):
            rows, weight, bias = _example(precision, hidden, intermediate)
            products[precision] = partial(make_linear(weight, bias, usable_kernel(precision)), rows)
        seconds = dict.fromkeys(products, float("inf"))
        with torch.inference_mode():
            for played in range(_ROUNDS):
                if played >= 2 and seconds["bfloat16"] > _HOPELESS * seconds["float32"]:
                    break
                for precision, product in products.items():
                    started = time.thread_time()
                    product()
                    seconds[precision] = min(seconds[precision], time.thread_time() - started)
        return seconds
    finally:
        torch.set_num_threads(threads)


def usable_kernel(precision: str) -> Kernel:
    """Take oneDNN where its operator works. It is not a documented one; absent, refused (bfloat16 on an old CPU), wrong: BLAS."""
    import torch

    rows, weight, bias = _example(precision, 64, 48)
    try:
        for activation in ("", "erf", "tanh", "relu"):
            found = make_linear(weight, bias, Kernel.ONEDNN, activation)(rows).float()
            expected = make_linear(weight, bias, Kernel.BLAS, activation)(rows).float()
            if not torch.allclose(found, expected, rtol=2e-2, atol=0.2):
                return Kernel.BLAS
    except (RuntimeError, AttributeError, TypeError):
        return Kernel.BLAS
    return Kernel.ONEDNN


def _example(
    precision: str, hidden: int, intermediate: int
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    import torch

    generator = torch.Generator().manual_seed(0)
    dtype = dtype_of(precision)
    return (
        torch.randn(_ROWS, hidden, generator=generator).to(dtype),
        torch.randn(intermediate, hidden, generator=generator).to(dtype),
        torch.randn(intermediate, generator=generator).to(dtype),
    )
