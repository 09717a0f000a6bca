"""Published records, counted by what became of them. Not before: what is rolled back comes again."""

from collections import Counter
from collections.abc import Sequence

from worker.stream.microbatch import Outcome
from worker.telemetry import metrics

_COUNTERS = {
    "tagged": metrics.PREDICTIONS,
    "rejected": metrics.DEAD_LETTERS,
    "skipped": metrics.RECORDS_SKIPPED,
}
"""By kind of outcome."""


def count(outcomes: Sequence[Outcome]) -> None:
    """Count the records of one published micro-batch. Does not block; any thread."""
    metrics.RECORDS_PUBLISHED.inc(len(outcomes))
    for (kind, labels), number in Counter((one.kind, one.labels) for one in outcomes).items():
        _COUNTERS[kind].labels(*labels).inc(number)
    for one in outcomes:
        if one.score is not None:
            metrics.SCORE.labels(one.labels[0]).observe(one.score)
