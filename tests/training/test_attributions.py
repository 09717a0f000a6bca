from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.rows import make_rows
from training import model as models
from training.attributions import Attribution, attribute, attribute_folder, render
from training.finetune import FinetuneConfig, finetune
from training.train_config import TrainConfig
from worker.errors import UsageError

QUICK = TrainConfig(epochs=8, lr=2e-3, tokens_per_batch=256, precision="float32", seed=3)
TEXT = "手机 、 书 很好 the hotel"


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("attributed")
    finetune(str(base), make_rows(240, seed=1), {}, out, FinetuneConfig(train=replace(QUICK), max_tokens=32))
    return out / "model"


def _of(folder: Path, text: str, **options: object) -> Attribution:
    model, tokenizer, columns = models.load(folder)
    return attribute(model, tokenizer, columns, text, "review", max_tokens=32, **options)  # type: ignore[arg-type]  # by name


def test_the_scores_sum_to_the_change_of_the_margin(trained: Path) -> None:
    found = _of(trained, TEXT)
    assert found.margin > 0
    assert found.missing < 0.02
    assert sum(found.scores) == pytest.approx(found.margin - found.blank_margin, rel=0.02)


def test_more_steps_leave_less_unexplained(trained: Path) -> None:
    assert _of(trained, TEXT, steps=128).missing <= _of(trained, TEXT, steps=2).missing + 1e-6


def test_the_word_that_decides_has_the_highest_score(trained: Path) -> None:
    found = _of(trained, TEXT)
    assert found.label == "positive"
    best = max(zip(found.scores, found.pieces, strict=True))[1]
    assert best in "▁很好"


def test_the_other_label_gets_the_opposite_scores(trained: Path) -> None:
    ours, theirs = _of(trained, TEXT, label="positive"), _of(trained, TEXT, label="negative")
    assert theirs.scores == pytest.approx([-score for score in ours.scores], abs=1e-4)


def test_special_pieces_are_not_shown(trained: Path) -> None:
    assert not {"<s>", "</s>"} & set(_of(trained, TEXT).pieces)


def test_nothing_and_unknown_labels_are_refused(trained: Path) -> None:
    with pytest.raises(UsageError, match="no pieces"):
        _of(trained, "")
    with pytest.raises(UsageError, match="no label"):
        _of(trained, TEXT, label="splendid")


def test_a_table_has_a_row_for_every_text(trained: Path) -> None:
    texts = [("review", TEXT), ("review", "the hotel\r\nis bad|"), ("review", "book\u2028good")]
    table = render(attribute_folder(trained, texts, steps=16))
    assert len(table.splitlines()) == 5
    assert "很好" in table
    assert "| the hotel is bad/ | " in table
