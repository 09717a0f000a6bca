"""Which texts go together into one forward. Pure."""

from collections.abc import Sequence

_LEAST_TOKENS = 64
"""Forwards are not made smaller than this only to occupy another lane."""


def plan_forwards(lengths: Sequence[int], budget: int, lanes: int = 1) -> list[list[int]]:
    """Split texts into forwards of at most `budget` tokens each; return the indices of each forward.

    Longest first, so that equal lengths stand together (attention runs once for each run of them) and memory is claimed
    at the start. The forwards are about equally full, because a small rest would compute at a poor rate, and as many as
    keep `lanes` busy to the end. A text longer than the budget goes alone. Nothing here can change an answer, only when it
    is computed.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    forwards = [[index] for index in order if lengths[index] >= budget]
    rest = order[len(forwards) :]
    tokens = sum(lengths[index] for index in rest)
    share = tokens / _count(tokens, budget, lanes)
    forward: list[int] = []
    used = placed = closed = 0
    for index in rest:
        if forward and (placed >= share * (closed + 1) or used + lengths[index] > budget):
            forwards.append(forward)
            forward, used, closed = [], 0, closed + 1
        forward.append(index)
        used += lengths[index]
        placed += lengths[index]
    return [*forwards, forward] if forward else forwards


def _count(tokens: int, budget: int, lanes: int) -> int:
    """Forwards to aim at: what the budget asks for, rounded up to a multiple of the lanes while they stay worth it."""
    needed = max(1, -(-tokens // budget))
    even = -(-needed // lanes) * lanes
    return max(needed, min(even, tokens // _LEAST_TOKENS))
