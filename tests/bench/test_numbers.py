"""The bench's arithmetic, by examples worked out by hand."""

import pytest

from worker.bench.numbers import Pair, median_ratio, percentile, steady_rate
from worker.errors import UsageError


def test_a_ratio_is_the_median_of_the_repetitions_own_ratios() -> None:
    pairs = [Pair(90, 100), Pair(40, 50), Pair(300, 100)]

    assert median_ratio(pairs) == 0.9


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.01, 1), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_the_value_of_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_a_percentile_of_few_values_is_one_of_them() -> None:
    assert percentile([3.0, 1.0], 0.99) == 3.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_steady_rate_counts_whole_bursts_only() -> None:
    # Ten records every second, all within its first millisecond; the first one took nine seconds longer.
    bursts = [0.0, *(9.0 + number for number in range(1, 20))]
    times = [at + within / 10_000 for at in bursts for within in range(10)]

    assert steady_rate([(at, 1.0) for at in times], burst=10) == pytest.approx(10.0, rel=1e-3)


def test_a_steady_rate_of_few_bursts_starts_at_the_end_of_one() -> None:
    # Four bursts of a hundred, a second apart; the first quarter ends within the first of them.
    outputs = [(burst + within / 1_000, 1.0) for burst in range(4) for within in range(100)]

    assert steady_rate(outputs, burst=100) == pytest.approx(100.0, rel=1e-3)


def test_a_steady_rate_does_not_depend_on_the_order_in_which_outputs_are_read() -> None:
    outputs = [(number / 100, 1.0) for number in range(200)]

    assert steady_rate(outputs[::-1], burst=1) == steady_rate(outputs, burst=1) == pytest.approx(100.0)


def test_a_steady_rate_counts_work_so_short_texts_at_the_start_do_not_lower_it() -> None:
    # As much work every second: first in forty short texts, then in ten long ones.
    short = [(second + part / 1_000, 0.5) for second in range(3) for part in range(40)]
    long = [(second + part / 1_000, 2.0) for second in range(3, 40) for part in range(10)]

    assert steady_rate(short + long, burst=40) == pytest.approx(20.0, rel=0.01)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="too few"):
        steady_rate([(1.0, 1.0)], burst=1)
    with pytest.raises(UsageError, match="at once"):
        steady_rate([(1.0, 1.0)] * 100, burst=10)
