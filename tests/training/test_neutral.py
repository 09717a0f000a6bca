"""How likely neutral is made to be, and what stays as it was."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.rows import make_rows
from training import model as models
from training.calibrate import fit_temperature
from training.data import Row
from training.evaluate import logits_on
from training.finetune import FinetuneConfig, finetune
from training.predict import probabilities_of
from training.reviews.neutral import shift_neutral
from training.scorer import open_scorer
from training.sets import gold_of
from training.trainer import TrainConfig
from worker.errors import UsageError

LABELS = ("negative", "neutral", "positive")
QUICK = TrainConfig(epochs=4, lr=2e-3, tokens_per_batch=256, precision="float32", seed=3)


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of what it saw was neutral, and nothing in the texts says which."""
    rows = [Row(row.text, "neutral" if n % 2 else row.label) for n, row in enumerate(make_rows(200, seed=1))]
    out = tmp_path_factory.mktemp("neutral")
    finetune(str(base), rows, {}, out, FinetuneConfig(train=QUICK, max_tokens=32))
    return out / "model"


@pytest.mark.parametrize("share", [0.05, 0.9])
def test_neutral_becomes_as_likely_as_among_the_rows_and_the_sides_keep_every_bit(
    trained: Path, tmp_path: Path, share: float
) -> None:
    fresh = make_rows(200, seed=5)
    rows = [Row(row.text, "neutral" if n < share * 200 else row.label) for n, row in enumerate(fresh)]
    shift_neutral(trained, rows, tmp_path / "model", max_tokens=32)
    model, tokenizer, columns = models.load(tmp_path / "model")
    logits = logits_on(model, tokenizer, columns, rows, max_tokens=32)
    temperature = fit_temperature([(logits, gold_of(rows, LABELS))])
    assert probabilities_of(logits, [0, 1, 2], temperature)[:, 1].mean() == pytest.approx(share, abs=0.02)
    before, after = open_scorer(trained, max_tokens=32), open_scorer(tmp_path / "model", max_tokens=32)
    sides = ("negative", "positive")
    assert np.array_equal(before.probabilities(rows, sides), after.probabilities(rows, sides))


def test_another_label_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="splendid"):
        shift_neutral(trained, [Row("好", "splendid")], tmp_path / "model", max_tokens=32)
    assert not (tmp_path / "model").exists()
