from pathlib import Path

import numpy as np
import pytest

from tests.training.rows import make_rows
from training.data import Row
from training.finetune import FinetuneConfig, finetune
from training.scorer import open_scorer
from training.titles import refit
from training.titles.refit import labelled_by_functions, refit_titles
from training.train_config import TrainConfig
from worker.errors import UsageError

QUICK = TrainConfig(epochs=6, lr=2e-3, tokens_per_batch=256, precision="float32", seed=3)
TITLES = [
    Row(f"{word} 手机 {number}", tone, "title")
    for number in range(12)
    for word, tone in (("二手", "negative"), ("爆款", "positive"), ("书", "neutral"))
]
SWAP = {"negative": "positive", "positive": "neutral", "neutral": "negative"}


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("refit")
    finetune(
        str(base), [*make_rows(120, seed=1), *TITLES], {}, out, FinetuneConfig(train=QUICK, max_tokens=32)
    )
    return out / "model"


def test_titles_are_learned_anew_and_reviews_keep_every_bit(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refit, "STRENGTH", 1e6)  # the tiny encoder's features hardly differ
    swapped = [Row(row.text, SWAP[str(row.label)], "title") for row in TITLES]
    reached = refit_titles(trained, swapped, tmp_path / "model", max_tokens=32)
    before, after = open_scorer(trained, max_tokens=32), open_scorer(tmp_path / "model", max_tokens=32)
    labels = after.labels["title"]
    answers = after.probabilities(swapped, labels).argmax(-1)
    right = np.mean([labels[a] == row.label for a, row in zip(answers, swapped, strict=True)])
    assert right == pytest.approx(reached)
    assert reached > 0.9
    reviews = make_rows(40, seed=2)
    labels = after.labels["review"]
    assert np.array_equal(before.probabilities(reviews, labels), after.probabilities(reviews, labels))


def test_a_tone_without_titles_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="every tone"):
        refit_titles(trained, TITLES[:2], tmp_path / "model", max_tokens=32)


def test_half_of_the_rows_are_copies_with_phrases_and_labels_are_the_functions() -> None:
    collected = [Row(f"不锈钢保温杯 {number} 号", "positive", "title") for number in range(40)]
    rows = labelled_by_functions(collected, share=1.0, limit=20, seed=1)
    assert (len(rows), sum(row.source == "titles_written" for row in rows)) == (20, 10)
    assert {row.label for row in rows if row.source != "titles_written"} == {"neutral"}
