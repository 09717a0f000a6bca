"""Forwards side by side."""

import gc
import threading

import pytest

from worker.classify.lanes import Lanes


def test_results_come_in_the_order_of_the_items() -> None:
    assert Lanes(3).map(lambda number: number * 2, range(20)) == [number * 2 for number in range(20)]


def test_items_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)
    assert Lanes(2).map(lambda _: meeting.wait() in {0, 1}, range(2)) == [True, True]


def test_one_lane_is_the_callers_own_thread() -> None:
    assert Lanes(1).map(lambda _: threading.current_thread(), range(3)) == [threading.current_thread()] * 3


def test_a_failure_is_raised_after_everything_has_ended() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("first")
        done.append(number)

    with pytest.raises(ValueError, match="first"):
        Lanes(2).map(work, range(10))
    assert sorted(done) == list(range(1, 10))


def test_the_threads_end_when_the_lanes_are_forgotten() -> None:
    before = set(threading.enumerate())
    lanes = Lanes(2)
    lanes.map(lambda _: None, range(10))
    threads = set(threading.enumerate()) - before
    assert threads
    del lanes
    gc.collect()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
