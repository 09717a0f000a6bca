"""Which texts go together into one forward. Pure."""

from collections.abc import Sequence


def plan_forwards(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Split texts into forwards of at most `budget` tokens each; return the indices of each forward.

    Longest first, so that equal lengths stand together (attention runs once for each run of them) and memory is claimed
    at the start. The forwards are about equally full: a small rest would compute at a poor rate. A text longer than the
    budget goes alone. Nothing here can change an answer, only when it is computed.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    total = sum(lengths)
    forwards: list[list[int]] = []
    forward: list[int] = []
    used = before = 0
    share = total / max(1, -(-total // budget))
    for index in order:
        full = before + used >= share * (len(forwards) + 1)
        if forward and (full or used + lengths[index] > budget):
            forwards.append(forward)
            forward, before, used = [], before + used, 0
        forward.append(index)
        used += lengths[index]
    if forward:
        forwards.append(forward)
    return forwards
