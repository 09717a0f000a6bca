"""The reviews written for the project: what the rubric promises of them."""

from collections import Counter

import pytest

from training.data import Row
from training.prepare import script_key, text_key
from training.reviews.written import SOURCE, written_reviews

PARTS = {part: written_reviews(part) for part in ("train", "validation", "held_out")}


def _chinese(row: Row) -> bool:
    return any("一" <= character <= "鿿" for character in row.text)


@pytest.mark.parametrize("part", PARTS)
def test_no_two_are_alike_and_no_label_is_rare_in_either_language(part: str) -> None:
    rows = PARTS[part]
    # Two of those to train on stand there in both scripts; the recipe keeps one of each.
    assert len({script_key(row.text) for row in rows}) == len(rows)
    for chinese in (True, False):
        own = [row for row in rows if _chinese(row) == chinese]
        assert len(own) > 0.3 * len(rows)
        counts = Counter(row.label for row in own)
        assert counts.keys() == {"negative", "neutral", "positive"}
        assert min(counts.values()) > 0.12 * len(own)


def test_the_held_out_ones_are_of_other_trades() -> None:
    trades = {part: {row.category for row in rows} for part, rows in PARTS.items()}
    assert not (trades["train"] | trades["validation"]) & trades["held_out"]


def test_no_text_stands_in_two_parts() -> None:
    counts = Counter(key for rows in PARTS.values() for key in {text_key(row.text) for row in rows})
    assert max(counts.values()) == 1


@pytest.mark.parametrize("part", PARTS)
def test_length_does_not_give_the_label_away(part: str) -> None:
    for chinese in (True, False):
        lengths = {
            label: [len(row.text) for row in PARTS[part] if row.label == label and _chinese(row) == chinese]
            for label in ("negative", "positive")
        }
        means = [sum(values) / len(values) for values in lengths.values()]
        assert max(means) < 1.5 * min(means)


def test_they_are_rows_of_one_source() -> None:
    assert {(row.kind, row.source) for rows in PARTS.values() for row in rows} == {("review", SOURCE)}
