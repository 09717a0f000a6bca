"""Which precision and which matrix library serve, decided at start.

bfloat16 is several times faster than float32 on a CPU that has instructions for it, and ten times slower on one that has
not, so it is measured. The choice changes results in the third digit; it is part of the engine's identity, and must come
out the same on every replica of a machine type and at every start, or a replay would not repeat the first answer. So the
measurement counts CPU time of one thread, which other processes do not disturb, and the library is not measured at all.

int8 gives about one answer in two hundred another label. So `auto` looks at it only where bfloat16 brings nothing, and only for
a bundle whose maker measured what it changes (`Int8Check` in manifest.py).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from worker.classify.integers import exact_levels, make_integer_linear
from worker.classify.linear import Kernel, make_linear
from worker.errors import ModelError

if TYPE_CHECKING:
    import torch

    from worker.classify.linear import Linear

_ROWS = 256
_INT8_ROWS = 1_024
"""As many as a forward has. Of 256 it was 1.3 to 1.6 times as fast as float32, from start to start."""
_ROUNDS = 9
_HOPELESS = 3.0
"""How many times slower than float32 another must have been in two rounds for the rest of them to be spared."""
BFLOAT16_GAIN = 1.4
"""bfloat16 must be this many times faster to be worth its digits. Measured: 2.0 with AVX512-BF16, 0.1 with AVX2 alone."""
INT8_GAIN = 1.2
"""The same of int8, its rounding and scaling included. Measured: 1.5 to 1.8 with AVX2, idle and at a load of 5."""


@dataclass(frozen=True)
class Choice:
    """What will compute."""

    precision: str
    """`float32`, `bfloat16` or `int8`."""
    kernel: Kernel
    """Of the products that are not in whole numbers."""
    seconds: dict[str, float]
    """What was measured, by precision: least CPU seconds a row of one product. Empty where nothing was."""

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


def choose(
    asked: str, device: "torch.device", hidden: int, intermediate: int, *, int8: bool = False
) -> Choice:
    """Choose for an encoder of that width. `asked` is `auto`, `float32`, `bfloat16` or `int8`; `int8` says whether `auto`
    may take that too. Takes about 30 ms on a CPU with instructions for bfloat16, and 0.1 s on one without, 0.3 s where int8
    is measured.

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
    if int8 and not bfloat16_pays(seconds):
        seconds |= measure(hidden, intermediate, ("float32", "int8"), rows=_INT8_ROWS)
    precision = decide(seconds)
    return Choice(precision, usable_kernel(precision), seconds)


def decide(seconds: dict[str, float]) -> Literal["float32", "bfloat16", "int8"]:
    """The precision for given times, which need not hold one of int8. Pure."""
    if bfloat16_pays(seconds):
        return "bfloat16"
    return "int8" if seconds.get("int8", float("inf")) * INT8_GAIN < seconds["float32"] else "float32"


def bfloat16_pays(seconds: dict[str, float]) -> bool:
    """Whether it is so much faster than float32 that its digits can be missed. Pure."""
    return seconds["bfloat16"] * BFLOAT16_GAIN < seconds["float32"]


def measure(
    hidden: int, intermediate: int, precisions: Sequence[str] = ("float32", "bfloat16"), *, rows: int = _ROWS
) -> dict[str, float]:
    """Least CPU seconds a row of one product [rows, intermediate] x [intermediate, hidden] on one thread, by precision.

    Of a layer's products it has the narrowest output for its work: a wide one is fresh memory from the kernel each time,
    until the allocator has learned to keep it, and in a process that has just begun that took as long as the product. Where
    one beside float32 is hopeless, and so one product of it slow, two rounds are enough.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        products: dict[str, Callable[[], object]] = {}
        for precision in precisions:
            x, weight, bias = _example(precision, rows, intermediate, hidden)
            products[precision] = partial(_linear(precision, weight, bias), x)
        seconds = dict.fromkeys(products, float("inf"))
        with torch.inference_mode():
            for played in range(_ROUNDS):
                if played >= 2 and max(seconds.values()) > _HOPELESS * seconds["float32"]:
                    break
                for precision, product in products.items():
                    started = time.thread_time()
                    product()
                    seconds[precision] = min(seconds[precision], (time.thread_time() - started) / rows)
        return seconds
    finally:
        torch.set_num_threads(threads)


def _linear(precision: str, weight: "torch.Tensor", bias: "torch.Tensor") -> "Linear":
    if precision == "int8":
        return make_integer_linear(weight, bias)
    return make_linear(weight, bias, usable_kernel(precision))


def usable_kernel(precision: str) -> Kernel:
    """Take oneDNN where its operator works. It is not a documented one; absent, refused (bfloat16 on an old CPU), wrong: BLAS."""
    import torch

    rows, weight, bias = _example(precision, _ROWS, 64, 48)
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
    precision: str, rows: int, inputs: int, outputs: int
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    import torch

    generator = torch.Generator().manual_seed(0)
    dtype = dtype_of(precision)
    return (
        torch.randn(rows, inputs, generator=generator).to(dtype),
        torch.randn(outputs, inputs, generator=generator).to(dtype),
        torch.randn(outputs, generator=generator).to(dtype),
    )
