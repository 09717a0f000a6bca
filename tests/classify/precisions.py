"""The precisions that this machine can compute in."""

import pytest

from worker.classify.integers import exact_levels
from worker.errors import ModelError


def _can_multiply_integers() -> bool:
    try:
        return exact_levels() > 0
    except ModelError:
        return False


CAN_INT8 = _can_multiply_integers()
needs_int8 = pytest.mark.skipif(not CAN_INT8, reason="int8 is for x86 with oneDNN")
PRECISIONS = ["float32", "bfloat16", pytest.param("int8", marks=needs_int8)]
