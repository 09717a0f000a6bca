"""What int8 changes in a bundle's answers, measured when the bundle is made."""

from pathlib import Path

import numpy as np
import pytest

from tests.classify.checkpoints import tiny_bert, write_bundle
from tests.classify.precisions import needs_int8
from training import agreement
from training.agreement import check_int8
from training.data import Row
from training.scorer import open_bundle
from training.scores import evaluate_folder
from worker.classify.answers import LABELS
from worker.classify.integers import exact_levels
from worker.errors import ModelError

WORDS = "abcdefghijklmnopqrstuvwxyz"
TEXTS = [
    " ".join(WORDS[i % 26] * (1 + j % 3) + WORDS[(i * j) % 26] for j in range(3 + i % 9)) for i in range(300)
]
SETS = {
    "reviews": [Row(text, ("negative", "positive")[i % 2]) for i, text in enumerate(TEXTS)],
    "titles": [Row(text, LABELS[i % 3], "title") for i, text in enumerate(TEXTS[:100])],
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tiny_bert(), tmp_path_factory.mktemp("bundle"))


@needs_int8
def test_other_labels_and_the_change_of_accuracy_are_counted(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = check_int8(bundle, SETS)
    assert check is not None
    rows = [row for own in SETS.values() for row in own]
    served, accuracies = {}, {}
    for precision in ("float32", "int8"):
        monkeypatch.setenv("TAGLINE_MODEL_PRECISION", precision)
        scorer = open_bundle(bundle)
        assert scorer.details["precision"] == precision
        scores = evaluate_folder(bundle, SETS, max_tokens=128).values()
        assert {row["precision"] for row in scores} == {precision}
        accuracies[precision] = sum(row["accuracy"] * row["rows"] for row in scores) / len(rows)
        served[precision] = np.concatenate([scorer.served(own) for own in SETS.values()]).argmax(-1)
    changed = int((served["float32"] != served["int8"]).sum())
    assert changed > 0  # or nothing was counted
    assert (check.levels, check.texts, check.other_label) == (exact_levels(), 400, round(changed / 400, 5))
    assert check.accuracy == pytest.approx(accuracies["int8"] - accuracies["float32"], abs=1e-5)


def test_without_texts_or_the_instructions_nothing_is_told(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_int8(bundle, {}) is None

    def refuse() -> int:
        raise ModelError("int8 needs another processor")

    monkeypatch.setattr(agreement, "exact_levels", refuse)
    assert check_int8(bundle, SETS) is None
