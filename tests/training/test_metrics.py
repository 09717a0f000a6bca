import numpy as np
import pytest

from training.baseline import LinearBaseline, majority_accuracy
from training.calibrate import fit_neutral_share, fit_temperature, is_at_an_end, is_neutral, with_neutral
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
    chooser = np.random.default_rng(0)
    true_logits = chooser.normal(size=(4_000, 2)) * 2
    chance = probabilities_of(true_logits, [0, 1])[:, 1]
    gold = (chooser.random(4_000) < chance).astype(np.int64)
    assert fit_temperature([(true_logits * 3, gold)]) == pytest.approx(3.0, rel=0.1)
    assert not is_at_an_end(3.0)
    right, wrong = np.array([[2.0, -2.0]]), np.array([[-2.0, 2.0]])
    assert all(is_at_an_end(fit_temperature([(logits, np.array([0]))])) for logits in (right, wrong))


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
