"""Which texts go together into one forward."""

from hypothesis import given
from hypothesis import strategies as st

from worker.classify.plan import plan_forwards


def test_texts_within_the_budget_go_together_longest_first() -> None:
    assert plan_forwards([3, 5, 4, 5], budget=20) == [[1, 3, 2, 0]]


def test_the_forwards_are_about_equally_full() -> None:
    assert plan_forwards([10] * 11, budget=100) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]


def test_lanes_get_equal_numbers_of_forwards() -> None:
    assert len(plan_forwards([10] * 25, budget=1_000, lanes=2)) == 2
    assert len(plan_forwards([10] * 40, budget=150, lanes=2)) == 4
    assert len(plan_forwards([32] * 3, budget=1_000, lanes=4)) == 1, "too little to share out"
    assert len(plan_forwards([64] * 3, budget=1_000, lanes=4)) == 3


def test_a_forward_never_exceeds_the_budget() -> None:
    assert plan_forwards([6, 6, 6], budget=10) == [[0], [1], [2]]


def test_a_text_longer_than_the_budget_goes_alone() -> None:
    assert plan_forwards([4, 30, 4], budget=10) == [[1], [0, 2]]


def test_no_texts_make_no_forward() -> None:
    assert plan_forwards([], budget=10) == []


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 100), st.integers(1, 5))
def test_every_text_is_in_exactly_one_forward_and_equal_lengths_stand_together(
    lengths: list[int], budget: int, lanes: int
) -> None:
    forwards = plan_forwards(lengths, budget, lanes)
    assert sorted(index for forward in forwards for index in forward) == list(range(len(lengths)))
    for forward in forwards:
        assert len(forward) == 1 or sum(lengths[index] for index in forward) <= budget
        assert [lengths[index] for index in forward] == sorted((lengths[i] for i in forward), reverse=True)
