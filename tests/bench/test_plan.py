"""What a command line measures."""

import pytest

from worker.bench.plan import MEASURES, make_plan
from worker.errors import UsageError


def test_without_options_everything_is_measured_at_full_size() -> None:
    plan = make_plan(only=None, texts=None, quick=False, seed=1)

    assert plan.names == tuple(MEASURES)
    assert plan.memory_events == (100_000, 1_000_000)
    assert plan.repetitions >= 5


def test_measures_are_chosen_by_their_letters_in_any_order() -> None:
    assert make_plan(only="d, a", texts=None, quick=True, seed=1).names == ("a", "d")


def test_a_measure_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match="no such measure: 'x'") as raised:
        make_plan(only="a,x", texts=None, quick=True, seed=1)
    assert "a, b, c, d, e, f" in (raised.value.hint or "")


def test_a_choice_that_names_none_is_not_taken_for_all() -> None:
    with pytest.raises(UsageError, match="no such measure: ''"):
        make_plan(only="", texts=None, quick=True, seed=1)


def test_too_few_texts_to_measure_a_rate_are_refused() -> None:
    with pytest.raises(UsageError, match="at least"):
        make_plan(only=None, texts=10, quick=True, seed=1)
