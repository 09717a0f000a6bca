"""The arithmetic of a run: float32, or bfloat16 where this machine is faster in it."""

from typing import Literal

from worker.classify.precision import decide, measure

Precision = Literal["auto", "float32", "bfloat16"]

_HIDDEN, _INTERMEDIATE = 384, 1536
"""Of the product that is timed: those of the base checkpoint that the shipped model came of."""


def fastest_precision() -> Precision:
    """What the worker's `auto` chooses on this machine's processor. Takes some 0.1 s, and draws none of the run's random numbers."""
    return decide(measure(_HIDDEN, _INTERMEDIATE))
