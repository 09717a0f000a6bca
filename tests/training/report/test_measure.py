from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from training.data import Row
from training.metrics import Floats
from training.report.measure import (
    linear_accuracies,
    measure,
    over_seeds,
    split_contaminated,
    with_category_sets,
)
from training.report.page import render
from worker.errors import UsageError

FIGURES = {"accuracy": "a.png", "reliability": "r.png", "confusion": "c.png"}


class Says:
    """Answers positive, with a fixed confidence, whatever ``word`` is in."""

    labels: Mapping[str, tuple[str, ...]] = {"review": ("negative", "positive")}
    details: Mapping[str, str] = {"size": "1 MB"}

    name = "says"

    def __init__(self, word: str) -> None:
        self.word = word

    def probabilities(self, rows: Sequence[Row], labels: Sequence[str]) -> Floats:
        assert tuple(labels) == ("negative", "positive")
        positive = np.array([0.9 if self.word in row.text else 0.1 for row in rows])
        return np.stack([1 - positive, positive], axis=1)


def _rows(category: str, right: int, wrong: int) -> list[Row]:
    rows = [Row(f"good {category} {number}", "positive", "review", category) for number in range(right)]
    return rows + [
        Row(f"good {category} x{number}", "negative", "review", category) for number in range(wrong)
    ]


def test_scores_are_counted_per_category_and_small_categories_only_in_the_whole() -> None:
    rows = _rows("book", 30, 10) + _rows("phone", 20, 0) + _rows("rare", 3, 0)
    found = measure(Says("good"), {"shop": rows}).sets["shop"]
    assert found.scores.accuracy == pytest.approx(53 / 63)
    assert set(found.categories) == {"book", "phone"}
    assert found.categories["book"].accuracy == 0.75
    assert found.matrix.tolist() == [[0, 10], [0, 53]]
    assert found.scores.ece == pytest.approx(0.9 - 53 / 63)
    assert found.majority == pytest.approx(53 / 63)


def test_rows_that_were_trained_on_are_in_no_headline_number() -> None:
    rows = _rows("book", 4, 2)
    clean, seen = split_contaminated({"shop": rows}, [replace(rows[0], text="GOOD, book 0!")])
    assert (len(clean["shop"]), len(seen["shop"])) == (5, 1)
    result = measure(Says("good"), clean, contaminated=seen)
    assert result.sets["shop"].scores.rows == 5
    assert result.contaminated["shop"].scores.rows == 1
    page = render([result], command="c", machine={}, figures=FIGURES, seeds=False)
    assert "## Rows that were trained on" in page


def test_a_category_can_be_a_set_of_its_own() -> None:
    sets = with_category_sets({"chn": _rows("clean", 3, 0) + _rows("copied", 2, 0)}, {"chn": "clean"})
    assert {name: len(rows) for name, rows in sets.items()} == {"chn_clean": 3, "chn": 5}
    for part, told in (({"shop": "clean"}, "no set `shop`"), ({"chn": "clear"}, "no row of the category")):
        with pytest.raises(UsageError, match=told):
            with_category_sets({"chn": _rows("clean", 3, 0)}, part)


def test_the_linear_row_never_learns_from_a_test_text() -> None:
    train = [
        Row(f"{word} thing number {number}", label)
        for number in range(30)
        for word, label in (("splendid", "positive"), ("dreadful", "negative"))
    ]
    assert linear_accuracies(train, {"test": train[:10]})["test"] == 1.0
    assert linear_accuracies(train, {"test": train}) == {}


def test_sets_of_a_kind_that_the_model_does_not_answer_are_left_out() -> None:
    titles = [Row("二手 相机", "negative", "title")]
    assert set(measure(Says("good"), {"shop": _rows("a", 3, 1), "title": titles}).sets) == {"shop"}
    for none in ({"title": titles}, {}):
        with pytest.raises(UsageError, match="no set is left"):
            measure(Says("good"), none)


def test_several_seeds_give_mean_and_sample_deviation() -> None:
    rows = {"shop": _rows("a", 6, 4)}
    results = [measure(Says(word), rows, speed=False) for word in ("good", "never")]
    mean, deviation = over_seeds(results)["shop"]["accuracy"]
    assert (mean, deviation) == (pytest.approx(0.5), pytest.approx(0.1 * 2**0.5))
    page = render(results, command="c", machine={}, figures=FIGURES, seeds=True)
    assert "## Over 2 seeds" in page
    assert "50.00 ± 14.14" in page


def test_every_set_has_its_baselines_beside_the_model() -> None:
    result = measure(Says("good"), {"shop": _rows("a", 6, 4)}, linear={"shop": 0.7})
    page = render([result], command="c", machine={"cpu": "some"}, figures=FIGURES, seeds=False)
    lines = page.splitlines()
    place = lines.index("| shop | 10 | majority class | 60.00 | - | - |")
    assert "| 70.00 |" in lines[place + 1]
    assert "**60.00**" in lines[place + 2]
