"""How likely neutral is made to be, and what stays as it was."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.rows import make_rows
from training import model as models
from training.calibrate import Temperature
from training.data import Row
from training.evaluate import logits_on
from training.finetune import FinetuneConfig, finetune
from training.predict import probabilities_of
from training.reviews.neutral import shift_neutral
from training.scorer import open_scorer
from training.train_config import TrainConfig
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
    shift_neutral(trained, rows, tmp_path / "model", temperature=Temperature(1.5), max_tokens=32)
    model, tokenizer, columns = models.load(tmp_path / "model")
    logits = logits_on(model, tokenizer, columns, rows, max_tokens=32)
    assert probabilities_of(logits, [0, 1, 2], 1.5)[:, 1].mean() == pytest.approx(share, abs=0.02)
    before, after = open_scorer(trained, max_tokens=32), open_scorer(tmp_path / "model", max_tokens=32)
    sides = ("negative", "positive")
    assert np.array_equal(before.probabilities(rows, sides), after.probabilities(rows, sides))


def test_rows_that_say_nothing_and_models_without_neutral_are_refused(
    base: Path, trained: Path, tmp_path: Path
) -> None:
    def refused(folder: Path, rows: list[Row], why: str) -> None:
        with pytest.raises(UsageError, match=why):
            shift_neutral(folder, rows, tmp_path / "out", temperature=Temperature(), max_tokens=32)
        assert not (tmp_path / "out").exists()

    refused(trained, [Row("好", "splendid")], "splendid")
    refused(trained, [], "nothing says")
    columns = models.Columns({"review": ("negative", "positive")})
    models.save(models.build(str(base), columns), models.load_tokenizer(base), columns, tmp_path / "two")
    refused(tmp_path / "two", [Row("好", "neutral")], "no neutral column")
