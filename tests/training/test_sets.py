from training.data import Row
from training.sets import labels_of_set

LABELS = ("negative", "neutral", "positive")


def test_a_set_of_praise_and_complaint_says_nothing_of_neutral() -> None:
    polar = [Row("好", "positive"), Row("差", "negative")]
    assert labels_of_set(polar, LABELS) == ("negative", "positive")
    assert labels_of_set([*polar, Row("书", "neutral")], LABELS) == LABELS
    assert labels_of_set(polar[:1], LABELS) == ("negative", "positive")
