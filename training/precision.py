"""The arithmetic of a run: float32, or bfloat16 where this machine is faster in it."""

from typing import Literal

from worker.classify.precision import bfloat16_pays, measure

Precision = Literal["auto", "float32", "bfloat16"]

_HIDDEN, _INTERMEDIATE = 384, 1536
"""Of the product that is timed: those of the base checkpoint that the shipped model came of."""


def fastest_precision() -> Precision:
    """bfloat16 where the worker's `auto` would take it here. Takes some 0.1 s, and draws none of the run's random numbers."""
    return "bfloat16" if bfloat16_pays(measure(_HIDDEN, _INTERMEDIATE)) else "float32"
