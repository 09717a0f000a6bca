"""Scores as published."""

import math
import struct

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.contracts.sentiment import Sentiment, scores_of


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_scores_are_what_the_model_of_the_contract_accepts(cuts):
    low, high = sorted(cuts)
    scores = scores_of(low, high - low, 1 - high, truncated=False)
    sentiment = Sentiment.model_validate_json(orjson.dumps(scores.payload()))
    assert orjson.loads(sentiment.model_dump_json()) == scores.payload()
    assert math.isclose(scores.negative + scores.neutral + scores.positive, 1, abs_tol=2e-6)
    assert scores.confidence == max(scores.negative, scores.neutral, scores.positive)
    assert scores.score == pytest.approx(scores.positive - scores.negative, abs=1e-9)
    assert math.copysign(1, scores.score) == 1 or scores.score < 0, "-0.0 is written as 0.0"


@pytest.mark.parametrize(
    ("probabilities", "label"),
    [
        ((0.4, 0.4, 0.2), "neutral"),
        ((0.2, 0.4, 0.4), "neutral"),
        ((0.45, 0.1, 0.45), "positive"),
        ((0.5, 0.1, 0.4), "negative"),
        ((0.0, 0.0, 1.0), "positive"),
    ],
)
def test_ties_go_to_neutral_and_then_to_positive(probabilities, label):
    assert scores_of(*probabilities, truncated=False).label == label


@given(st.floats(0, 1, width=32))
def test_a_float32_from_the_cache_gives_the_same_bytes_as_a_fresh_one(value):
    cached = struct.unpack("<f", struct.pack("<f", value))[0]
    fresh, again = (scores_of(p, 0.0, 1 - p, truncated=True) for p in (value, cached))
    assert orjson.dumps(fresh.payload()) == orjson.dumps(again.payload())


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1, math.inf])
def test_what_is_not_a_probability_is_refused(bad):
    for position in range(3):
        probabilities = [0.3, 0.3, 0.4]
        probabilities[position] = bad
        with pytest.raises(ValueError, match="probability"):
            scores_of(*probabilities, truncated=False)
