"""From logits to three calibrated probabilities."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.classify.answers import ClassifyError, Probabilities, Text
from worker.classify.sentiment import KindHead, probabilities_of, with_neutral

LOGIT = st.floats(-60, 60)
ANY = Text("review", "any", (), truncated=False)


def answer(logits: list[float], text: Text = ANY, **head: object) -> Probabilities:
    result = probabilities_of(logits, KindHead.model_validate(head), text)
    assert isinstance(result, Probabilities)
    return result


def test_three_columns_are_a_softmax_in_the_order_of_their_labels() -> None:
    found = answer(
        [9.0, math.log(2), math.log(1), math.log(5)],
        labels=["positive", "negative", "neutral"],
        columns=[1, 2, 3],
    )
    assert found[:3] == pytest.approx((1 / 8, 5 / 8, 2 / 8))
    assert found.label == "neutral"


def test_the_temperature_divides_the_logits() -> None:
    found = answer(
        [0.0, 2 * math.log(3)],
        labels=["negative", "positive"],
        columns=[0, 1],
        temperature=2.0,
        neutral_share=0,
    )
    assert found[:3] == pytest.approx((0.25, 0.0, 0.75))


@pytest.mark.parametrize(
    ("written", "positive"),
    [("very good", 0.75), ("OK 👍 très bien, だめ", 0.75), ("iPhone 很好", 0.9), ("㐀", 0.9), ("𠮷", 0.9)],
)
def test_texts_with_a_chinese_character_may_have_a_temperature_of_their_own(
    written: str, positive: float
) -> None:
    found = answer(
        [0.0, 2 * math.log(3)],
        Text("review", written, (), truncated=True),
        labels=["negative", "positive"],
        columns=[0, 1],
        temperature=2.0,
        temperature_han=1.0,
        neutral_share=0,
    )
    assert found == pytest.approx((1 - positive, 0.0, positive, True))


def test_two_labels_get_their_neutral_from_both_sides() -> None:
    assert with_neutral(0.75, 0.5) == pytest.approx((0.125, 0.25, 0.625))
    assert with_neutral(0.5, 0.5) == pytest.approx((0.25, 0.5, 0.25))
    assert with_neutral(1.0, 0.5) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("positive", "label"), [(0.59, "neutral"), (0.61, "positive"), (0.41, "neutral"), (0.39, "negative")]
)
def test_a_share_of_a_half_makes_neutral_the_label_between_two_fifths_and_three(
    positive: float, label: str
) -> None:
    assert Probabilities(*with_neutral(positive, 0.5), truncated=False).label == label


def test_five_stars_add_up_to_three_labels() -> None:
    found = answer(
        [0.0] * 5, labels=["negative", "negative", "neutral", "positive", "positive"], columns=[0, 1, 2, 3, 4]
    )
    assert found[:3] == pytest.approx((0.4, 0.2, 0.4))


def test_sigmoids_are_scaled_to_add_up_to_one() -> None:
    found = answer(
        [0.0, -math.log(3), 50.0],
        labels=["negative", "neutral", "positive"],
        columns=[0, 1, 2],
        activation="sigmoid",
    )
    assert found[:3] == pytest.approx((0.5 / 1.75, 0.25 / 1.75, 1 / 1.75))


def test_one_column_is_its_label_against_the_opposite() -> None:
    head = {"columns": [0], "activation": "sigmoid", "neutral_share": 0.0}
    assert answer([math.log(3)], labels=["positive"], **head)[:3] == pytest.approx((0.25, 0, 0.75))
    assert answer([math.log(3)], labels=["negative"], **head)[:3] == pytest.approx((0.75, 0, 0.25))


@pytest.mark.parametrize("logit", [-2_000.0, -746.0, -745.0, 746.0])
def test_one_column_keeps_its_meaning_where_its_share_is_too_small_for_a_number(logit: float) -> None:
    head = {"columns": [0], "activation": "sigmoid", "neutral_share": 0.0}
    assert answer([logit], labels=["positive"], **head).label == ("positive" if logit > 0 else "negative")
    assert answer([logit], labels=["negative"], **head).label == ("negative" if logit > 0 else "positive")


@given(st.lists(st.floats(-90, 90), min_size=4, max_size=4))
def test_several_columns_of_a_label_never_leave_the_range(logits: list[float]) -> None:
    found = answer(
        logits, labels=["negative", "negative", "positive", "positive"], columns=[0, 1, 2, 3], temperature=0.4
    )
    assert all(0 <= share <= 1 for share in found[:3])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_no_number_is_an_error_and_not_neutral(bad: float) -> None:
    head = KindHead(labels=("negative", "positive"), columns=(0, 1))
    result = probabilities_of([0.0, bad], head, ANY)
    assert isinstance(result, ClassifyError)
    assert result.code == "not_finite"


def test_a_bad_column_of_another_kind_does_no_harm() -> None:
    head = KindHead(labels=("negative", "positive"), columns=(0, 1))
    assert isinstance(probabilities_of([0.0, 1.0, math.nan], head, ANY), Probabilities)


@given(st.lists(LOGIT, min_size=3, max_size=3), st.sampled_from(["softmax", "sigmoid"]), st.floats(0.05, 20))
def test_probabilities_add_up_to_one_and_are_exact_in_float32(
    logits: list[float], activation: str, temperature: float
) -> None:
    found = answer(
        logits,
        labels=["negative", "neutral", "positive"],
        columns=[0, 1, 2],
        activation=activation,
        temperature=temperature,
    )
    assert sum(found[:3]) == pytest.approx(1, abs=2e-7)
    assert all(struct.unpack("<f", struct.pack("<f", value))[0] == value for value in found[:3])


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_made_neutral_keeps_the_order_of_negative_and_positive(positive: float, share: float) -> None:
    negative, neutral, after = with_neutral(positive, share)
    assert negative + neutral + after == pytest.approx(1)
    assert min(negative, neutral, after) >= -1e-12
    if abs(positive - 0.5) > 1e-9:
        assert (after > negative) == (positive > 0.5)


@pytest.mark.parametrize(
    ("probabilities", "label"),
    [
        ((0.4, 0.4, 0.2), "neutral"),
        ((0.45, 0.1, 0.45), "positive"),
        ((0.2, 0.4, 0.4), "neutral"),
        ((0.5, 0.2, 0.3), "negative"),
    ],
)
def test_ties_go_to_neutral_and_then_to_positive(
    probabilities: tuple[float, float, float], label: str
) -> None:
    assert Probabilities(*probabilities, truncated=False).label == label


@pytest.mark.parametrize(
    "head",
    [
        {"labels": ["negative", "positive"], "columns": [0]},
        {"labels": ["negative", "positive"], "columns": [1, 1]},
        {"labels": ["LABEL_0", "LABEL_1"], "columns": [0, 1]},
        {"labels": ["negative", "neutral"], "columns": [0, 1]},
        {"labels": ["positive"], "columns": [0]},
        {"labels": ["negative", "positive"], "columns": [0, 1], "temperature": 0},
        {"labels": ["negative", "positive"], "columns": [0, 1], "temperature_han": 0},
        {"labels": ["negative", "positive"], "columns": [0, 1], "activation": "tanh"},
        {"labels": ["negative", "positive"], "columns": [0, 1], "temprature": 1},
    ],
)
def test_a_head_that_makes_no_sense_is_refused(head: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KindHead.model_validate(head)
