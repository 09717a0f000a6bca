"""What became of records is counted by kind and labels, once they are published."""

from worker.stream.microbatch import Outcome
from worker.stream.tally import count
from worker.telemetry import metrics

OUTCOMES = [
    Outcome("tagged", [], ("review", "positive"), 0.93),
    Outcome("tagged", [], ("review", "positive"), 0.55),
    Outcome("rejected", [], ("prepare", "not_json")),
    Outcome("skipped", [], ("tombstone",)),
]


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def counted() -> list[float]:
    return [
        value("tagline_records_published_total"),
        value("tagline_predictions_total", kind="review", label="positive"),
        value("tagline_dead_letters_total", stage="prepare", reason="not_json"),
        value("tagline_records_skipped_total", reason="tombstone"),
        value("tagline_score_count", kind="review"),
        value("tagline_score_bucket", kind="review", le="0.6"),
    ]


def test_each_record_counts_as_what_became_of_it() -> None:
    before = counted()
    count(OUTCOMES)
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [4, 2, 1, 1, 2, 1]
