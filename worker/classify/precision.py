"""Which precision and which matrix library serve, by a short measurement at start.

bfloat16 is several times faster than float32 on a CPU that has instructions for it, and ten times slower on one that has
not. The choice changes results in the third digit, so it is part of the engine's identity.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from worker.classify.linear import Kernel, make_linear

if TYPE_CHECKING:
    import torch

_ROWS = 512
_ROUNDS = 7
BFLOAT16_GAIN = 1.4
"""bfloat16 must be this many times faster to be worth its two digits less."""
BLAS_GAIN = 1.3
"""blas must be this many times faster than onednn to be taken: noise must not make replicas differ."""


@dataclass(frozen=True)
class Choice:
    """What will compute."""

    precision: str
    """`float32` or `bfloat16`."""
    kernel: Kernel
    seconds: dict[tuple[str, Kernel], float]
    """What was measured: best time of one product, by precision and kernel. Empty where nothing was."""

    @property
    def dtype(self) -> "torch.dtype":
        """As torch names it."""
        import torch

        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32


def choose(asked: str, device: "torch.device", hidden: int, intermediate: int) -> Choice:
    """Choose for an encoder of that width. `asked` is `auto`, `float32` or `bfloat16`. Takes about 50 ms on a CPU."""
    if device.type == "cuda":
        # bfloat16 is what the variable-length attention kernel takes; float32 has no packed path there.
        return Choice("bfloat16", Kernel.BLAS, {})
    precisions = ("float32", "bfloat16") if asked == "auto" else (asked,)
    return decide(measure(precisions, hidden, intermediate))


def decide(seconds: dict[tuple[str, Kernel], float]) -> Choice:
    """The choice for given times. Pure."""
    best: dict[str, Kernel] = {}
    for precision, _ in seconds:
        blas = seconds[precision, Kernel.BLAS]
        onednn = seconds.get((precision, Kernel.ONEDNN))
        best[precision] = Kernel.BLAS if onednn is None or blas * BLAS_GAIN < onednn else Kernel.ONEDNN
    precision = next(iter(best))
    if len(best) > 1:
        times = {name: seconds[name, kernel] for name, kernel in best.items()}
        precision = "bfloat16" if times["bfloat16"] * BFLOAT16_GAIN < times["float32"] else "float32"
    return Choice(precision, best[precision], seconds)


def measure(precisions: tuple[str, ...], hidden: int, intermediate: int) -> dict[tuple[str, Kernel], float]:
    """Best seconds of one product [rows, hidden] x [hidden, intermediate], rounds interleaved so that noise hits all."""
    import torch

    candidates: dict[tuple[str, Kernel], Callable[[], object]] = {}
    generator = torch.Generator().manual_seed(0)
    for precision in precisions:
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        rows = torch.randn(_ROWS, hidden, generator=generator).to(dtype)
        weight = torch.randn(intermediate, hidden, generator=generator).to(dtype)
        bias = torch.randn(intermediate, generator=generator).to(dtype)
        reference = make_linear(weight, bias, Kernel.BLAS)
        candidates[precision, Kernel.BLAS] = partial(reference, rows)
        onednn = _onednn_if_it_works(weight, bias, rows, reference(rows))
        if onednn is not None:
            candidates[precision, Kernel.ONEDNN] = partial(onednn, rows)
    seconds = dict.fromkeys(candidates, float("inf"))
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            for key, run in candidates.items():
                started = time.perf_counter()
                run()
                seconds[key] = min(seconds[key], time.perf_counter() - started)
    return seconds


def _onednn_if_it_works(
    weight: "torch.Tensor", bias: "torch.Tensor", rows: "torch.Tensor", expected: "torch.Tensor"
) -> "Callable[[torch.Tensor], torch.Tensor] | None":
    """The operator is not a documented one: absent, refused (bfloat16 on an old CPU) or wrong, it is not used."""
    import torch

    try:
        linear = make_linear(weight, bias, Kernel.ONEDNN)
        close = torch.allclose(linear(rows).float(), expected.float(), rtol=2e-2, atol=0.5)
    except (RuntimeError, AttributeError, NotImplementedError, TypeError):
        return None
    return linear if close else None
