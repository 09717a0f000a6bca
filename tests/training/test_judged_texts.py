"""Labels given for the project to texts that are not in it."""

from collections import Counter

import pytest

from training.data import Row
from training.reviews import judged
from training.reviews.judged import SOURCE, labels, take_judged, text_hash


def test_a_label_finds_its_text_in_whatever_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged, "labels", lambda: {text_hash("Not bad at all!"): "positive"})
    rows = [Row("not bad at all", source="pool"), Row("not bad", source="pool"), Row("NOT BAD AT ALL !")]
    found, others = take_judged(rows)
    assert [(row.text, row.label, row.source) for row in found] == [
        ("not bad at all", "positive", SOURCE),
        ("NOT BAD AT ALL !", "positive", SOURCE),
    ]
    assert others == [rows[1]]


def test_all_three_labels_were_given_and_no_text_is_in_the_file() -> None:
    known = labels()
    counts = Counter(known.values())
    assert counts.keys() == {"negative", "neutral", "positive"}
    assert min(counts.values()) > 0.05 * len(known)
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in known)


def test_the_hash_of_a_text_never_changes() -> None:
    """The texts behind the kept labels are not here to be hashed again."""
    assert text_hash("很好， 推荐！ Ｏｋ") == "2a97f1ef5bcd14d2"
