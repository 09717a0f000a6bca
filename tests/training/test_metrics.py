import numpy as np
import pytest

from training.baseline import LinearBaseline, majority_accuracy
from training.calibrate import (
    FEWEST_OF_A_SCRIPT,
    Answered,
    Temperature,
    fit_neutral_share,
    fit_temperature,
    in_han,
    is_at_an_end,
    is_neutral,
    warnings_of,
    with_neutral,
)
from training.data import Row
from training.metrics import confusion, expected_calibration_error, score
from training.predict import probabilities_of


def test_scores_of_a_small_set_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    gold = np.array([0, 0, 1, 1])
    assert confusion(probabilities, gold).tolist() == [[2, 0], [1, 1]]
    scores = score(probabilities, gold, ["negative", "positive"])
    assert scores.accuracy == 0.75
    assert scores.f1 == pytest.approx({"negative": 4 / 5, "positive": 2 / 3})
    assert scores.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_a_label_that_never_occurs_does_not_pull_the_macro_mean_down() -> None:
    probabilities = np.array([[0.9, 0.05, 0.05], [0.05, 0.05, 0.9]])
    assert score(probabilities, np.array([0, 2]), ["a", "b", "c"]).macro_f1 == 1.0


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    probabilities = np.tile([0.9, 0.1], (10, 1))
    gold = np.array([0] * 6 + [1] * 4)
    assert expected_calibration_error(probabilities, gold) == pytest.approx(0.3)


def test_the_fitted_temperature_takes_back_overconfidence() -> None:
    fitted = fit_temperature([_answered(4_000, 3.0, in_chinese=0)])
    assert fitted.other == pytest.approx(3.0, rel=0.1)
    assert fitted.han is None
    assert not is_at_an_end(3.0)
    none = np.array([False])
    for logits in (np.array([[2.0, -2.0]]), np.array([[-2.0, 2.0]])):
        extreme = fit_temperature([Answered(logits, np.array([0]), none)])
        assert is_at_an_end(extreme.other)
        assert warnings_of({"review": extreme})


def test_a_script_with_enough_texts_gets_a_temperature_of_its_own() -> None:
    sure, unsure = _answered(4_000, 3.0, in_chinese=4_000), _answered(2_000, 1.5, in_chinese=0)
    fitted = fit_temperature([sure, unsure])
    assert fitted == Temperature(pytest.approx(1.5, rel=0.1), pytest.approx(3.0, rel=0.1))
    # Some strays of one script in a set of the other count as a part of that set, and not as a set.
    mixed = _answered(4_000, 3.0, in_chinese=3_900)
    assert fit_temperature([mixed, unsure]).other == pytest.approx(1.5, rel=0.1)
    few = fit_temperature([sure, _answered(FEWEST_OF_A_SCRIPT - 1, 1.5, in_chinese=0)])
    assert few.han is None
    assert 1.5 < few.other < 3.0
    ends = {"review": Temperature(1.5, 4.0), "title": Temperature(1.0)}
    assert warnings_of(ends) == warnings_of({"review": Temperature(4.0)})


def test_rows_are_divided_by_the_temperature_of_their_script() -> None:
    rows = [
        Row("good"),
        Row("很好"),
        Row("\u2f08 good"),
    ]  # the last becomes a Chinese character when it is normalised
    assert in_han(rows).tolist() == [False, True, True]
    assert Temperature(1.2, 1.6).of(in_han(rows)).tolist() == [[1.2], [1.6], [1.6]]
    assert Temperature(1.2).of(in_han(rows)).tolist() == [[1.2]] * 3


def _answered(rows: int, too_sure: float, *, in_chinese: int) -> Answered:
    """Answers of a model that is ``too_sure`` by this factor; the first rows are in Chinese."""
    chooser = np.random.default_rng(0)
    true_logits = chooser.normal(size=(rows, 2)) * 2
    chance = probabilities_of(true_logits, [0, 1])[:, 1]
    gold = (chooser.random(rows) < chance).astype(np.int64)
    return Answered(true_logits * too_sure, gold, np.arange(rows) < in_chinese)


def test_neutral_keeps_the_sum_and_the_order_of_the_two_sides() -> None:
    three = with_neutral(np.array([0.1, 0.45, 0.5, 0.8]), 0.5)
    assert np.allclose(three.sum(-1), 1.0)
    assert np.allclose(three[0], [0.85, 0.1, 0.05])
    assert ((three[:, 2] > three[:, 0]) == np.array([False, False, False, True])).all()


def test_a_text_is_neutral_from_the_documented_chance_on() -> None:
    share = 0.5
    edge = 1 / (1 + 3 * share)
    assert is_neutral(np.array([edge - 0.01, edge + 0.01, 0.5]), share).tolist() == [0.0, 1.0, 1.0]


def test_the_neutral_share_is_the_largest_that_spares_polar_texts() -> None:
    polar = np.array([0.02] * 50 + [0.98] * 47 + [0.42] * 3)
    share, recall, lost = fit_neutral_share(np.array([0.5, 0.45, 0.9]), polar, largest_loss=0.01)
    assert lost == 0.0
    assert recall == pytest.approx(2 / 3)
    assert 1 / (1 + 3 * share) > 0.42


def test_the_baselines_know_what_is_frequent_and_what_is_said() -> None:
    rows = [
        Row(text, label) for text, label in (("很好", "positive"), ("太差", "negative")) for _ in range(5)
    ]
    assert majority_accuracy(["a", "a", "b"]) == pytest.approx(2 / 3)
    assert LinearBaseline.fit(rows).accuracy(rows) == 1.0


def test_the_linear_baseline_chooses_among_the_labels_of_the_set_as_a_model_does() -> None:
    polar = [
        Row(text, label) for text, label in (("很好", "positive"), ("太差", "negative")) for _ in range(5)
    ]
    neutral = [Row("手机", "neutral") for _ in range(30)]
    baseline = LinearBaseline.fit([*polar, *neutral])
    unclear = [Row("手机 很好", "positive"), Row("手机 太差", "negative")]
    unclear = [Row(row.text + " 手机" * 20, row.label) for row in unclear]
    assert baseline.accuracy(unclear) == 1.0
    assert baseline.accuracy([*unclear, Row("手机", "neutral")]) == pytest.approx(1 / 3)
