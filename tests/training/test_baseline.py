"""What a model must beat."""

import numpy as np
import pytest

from tests.training.rows import make_rows
from training import baseline
from training.baseline import LinearBaseline
from training.data import Row
from worker.errors import UsageError


def test_texts_that_share_nothing_are_refused_as_too_few() -> None:
    with pytest.raises(UsageError, match="no characters in common"):
        LinearBaseline.fit([Row("abc", "positive"), Row("xyz", "negative")])


def test_of_equally_frequent_pieces_the_same_are_kept_and_the_answers_are_the_same_in_any_order_of_the_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(baseline, "MAX_FEATURES", 300)
    rows, texts = make_rows(200, seed=1), [row.text for row in make_rows(200, seed=2)]
    one, other = (LinearBaseline.fit(some).pipeline for some in (rows, rows[::-1]))
    kept = one[0].vocabulary
    assert len(kept) == 300
    assert kept == other[0].vocabulary
    assert np.abs(one.predict_proba(texts) - other.predict_proba(texts)).max() < 1e-5


def test_the_least_loss_is_reached_and_not_only_come_near_to() -> None:
    rows, texts = make_rows(200, seed=1), [row.text for row in make_rows(200, seed=2)]
    pipeline = LinearBaseline.fit(rows).pipeline
    before = pipeline.predict_proba(texts)
    weights = pipeline[:-1].transform([row.text for row in rows])
    pipeline[-1].set_params(tol=1e-10, max_iter=100_000).fit(weights, [row.label for row in rows])
    assert np.abs(pipeline.predict_proba(texts) - before).max() < 1e-4
