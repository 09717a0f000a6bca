from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from training.data import Row
from training.metrics import Floats
from training.robustness.contrasts import CONTRASTS
from training.robustness.table import (
    render_contrasts,
    render_perturbations,
    score_contrasts,
    score_perturbations,
)
from training.titles.labelled import labelled_titles
from training.titles.model_scores import score_model
from worker.errors import UsageError


class ShoutingIsGood:
    """Calls a text positive when a word of it is in capitals, or when it says "good"."""

    name = "shouting"
    labels: Mapping[str, tuple[str, ...]] = {"review": ("negative", "positive")}
    details: Mapping[str, str] = {}

    def probabilities(self, rows: Sequence[Row], labels: Sequence[str]) -> Floats:
        assert tuple(labels) == ("negative", "positive")
        positive = np.array([float(row.text.isupper() or "good" in row.text.lower()) for row in rows])
        return np.stack([1 - positive, positive], axis=1)


ROWS = [Row(f"good thing {number}", "positive") for number in range(30)]
ROWS += [Row(f"poor thing {number}", "negative") for number in range(30)]


def test_flips_and_accuracy_are_counted_over_the_rows_that_changed() -> None:
    found = {score.name: score for score in score_perturbations(ShoutingIsGood(), ROWS)}
    assert (found["capitals"].changed, found["capitals"].flips, found["capitals"].after) == (60, 0.5, 0.5)
    assert found["capitals"].before == 1.0
    assert found["zero-width"].changed == 60
    assert found["brand swap"].changed == 0


def test_a_model_that_ignores_the_turn_answers_pairs_alike() -> None:
    scores = score_contrasts(ShoutingIsGood())
    assert {(score.phenomenon, score.language) for score in scores} == {
        (phenomenon, language) for phenomenon in ("negation", "turn words") for language in ("zh", "en")
    }
    chinese = next(score for score in scores if (score.phenomenon, score.language) == ("negation", "zh"))
    assert (chinese.accuracy, chinese.pairs_right, chinese.pairs_alike) == (0.5, 0.0, 1.0)


def test_every_contrast_turns_the_tone_and_none_is_there_twice() -> None:
    texts = [row.text for contrast in CONTRASTS for row in (contrast.left, contrast.right)]
    assert len(texts) == len(set(texts)) >= 100
    assert all(contrast.left.label != contrast.right.label for contrast in CONTRASTS)


def test_a_kind_that_the_model_does_not_answer_is_refused() -> None:
    with pytest.raises(UsageError, match="no head for texts of kind `title`"):
        score_perturbations(ShoutingIsGood(), [Row("good thing", "positive", "title")])
    with pytest.raises(UsageError, match="no head for texts of kind `title`"):
        score_model(ShoutingIsGood(), labelled_titles())


def test_rates_over_few_rows_are_not_printed() -> None:
    table = render_perturbations({"small": score_perturbations(ShoutingIsGood(), ROWS[:5])})
    assert "| small | capitals | 5 | - | - | - | - |" in table
    assert "| negation | zh | 15 | 50.0 | 0.0 | 100.0 % |" in render_contrasts(
        score_contrasts(ShoutingIsGood())
    )
