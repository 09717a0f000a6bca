"""The arithmetic of a run: float32, or bfloat16 where this machine is faster in it."""

import time
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def fastest_precision() -> Literal["float32", "bfloat16"]:
    """bf16 where a matrix product of this machine is at least 1.5 times as fast in it. Takes about 0.1 s."""
    own = torch.Generator().manual_seed(
        0
    )  # the run's own random numbers must not depend on whether this was measured
    left, right = torch.randn(1024, 384, generator=own), torch.randn(384, 1536, generator=own)

    def seconds(dtype: torch.dtype) -> float:
        a, b = left.to(dtype), right.to(dtype)
        a @ b
        start = time.perf_counter()
        for _ in range(5):
            a @ b
        return time.perf_counter() - start

    return "bfloat16" if seconds(torch.float32) > 1.5 * seconds(torch.bfloat16) else "float32"
