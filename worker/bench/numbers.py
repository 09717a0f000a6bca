"""The bench's arithmetic. Pure."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from worker.errors import UsageError

_REMEDY = "measure with more texts: `--texts 4000`"


class Pair(NamedTuple):
    """One repetition of a ratio: what was measured, over what it was measured against, both per second."""

    measured: float
    reference: float

    @property
    def ratio(self) -> float:
        """How many times the reference."""
        return self.measured / self.reference


def median_ratio(pairs: Sequence[Pair]) -> float:
    """The median of the repetitions' ratios: each repetition's two halves ran under the same conditions."""
    return median(pair.ratio for pair in pairs)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[min(len(ordered), max(1, rank)) - 1]


def steady_rate(outputs: Sequence[tuple[float, float]], *, burst: int) -> float:
    """Work per second from (time in seconds, work) of each output, without the start. Where every record is as much work as
    any other, the work is 1 and the result records per second.

    Outputs come in bursts, one per micro-batch, and a clock that starts inside a burst counts the rest of it as done in no
    time. So it starts at the end of a burst: before the widest gap between the 5 % point and the 25 % point, or the second
    full burst (of ``burst`` outputs) where that is later, and counts what came after. The end is the last output, which ends a
    burst as well. Raises UsageError when there is nothing to measure.
    """
    ordered = sorted(outputs)
    times = [at for at, _ in ordered]
    first, last = len(ordered) // 20, max(len(ordered) // 4, min(2 * burst, len(ordered) // 2))
    if last <= first:
        raise UsageError("there are too few outputs to measure a rate", hint=_REMEDY)
    start = max(range(first, last), key=lambda at: times[at + 1] - times[at])
    seconds = times[-1] - times[start]
    if seconds <= 0:
        raise UsageError("all outputs were made at once, so there is no rate", hint=_REMEDY)
    return sum(work for _, work in ordered[start + 1 :]) / seconds


def ratio_detail(pairs: Sequence[Pair]) -> dict[str, object]:
    """A ratio and its repetitions, for the JSON."""
    return {
        "ratio": median_ratio(pairs),
        "repetitions": [
            {"measured_per_s": pair.measured, "reference_per_s": pair.reference, "ratio": pair.ratio}
            for pair in pairs
        ],
    }


def middle(pairs: Sequence[Pair]) -> str:
    """The medians of both sides, for a person."""
    return f"{median(p.measured for p in pairs):,.0f} / {median(p.reference for p in pairs):,.0f}"
