"""Forwards side by side."""

import gc
import threading

import pytest

from worker.classify.lanes import Lanes, gather


def test_results_come_in_the_order_of_the_items() -> None:
    assert gather(Lanes(3).begin(lambda number: number * 2, range(20))) == [
        number * 2 for number in range(20)
    ]


def test_items_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=10)
    assert gather(Lanes(2).begin(lambda _: meeting.wait() in {0, 1}, range(2))) == [True, True]


def test_a_lane_without_work_takes_what_was_begun_next() -> None:
    lanes, meeting = Lanes(2), threading.Barrier(2, timeout=10)
    first = lanes.begin(lambda _: meeting.wait(), range(1))
    second = lanes.begin(lambda _: meeting.wait(), range(1))
    assert sorted(gather(first) + gather(second)) == [0, 1]


def test_work_is_taken_in_the_order_in_which_it_was_begun() -> None:
    lanes, taken = Lanes(1), []
    begun = [lanes.begin(taken.append, [number, number]) for number in range(3)]
    for call in begun:
        gather(call)
    assert taken == [0, 0, 1, 1, 2, 2]


def test_a_failure_is_raised_after_everything_has_ended() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("first")
        done.append(number)

    with pytest.raises(ValueError, match="first"):
        gather(Lanes(2).begin(work, range(10)))
    assert sorted(done) == list(range(1, 10))


def test_closing_drops_what_no_lane_has_taken() -> None:
    lanes, gate, taken = Lanes(1), threading.Event(), threading.Event()
    done: list[int] = []

    def work(number: int) -> None:
        taken.set()
        assert gate.wait(10)
        done.append(number)

    begun = lanes.begin(work, range(5))
    assert taken.wait(10)
    lanes.close()
    gate.set()
    begun[0].result(10)
    assert done == [0]
    assert all(future.cancelled() for future in begun[1:])


def test_the_threads_end_when_the_lanes_are_forgotten() -> None:
    before = set(threading.enumerate())
    lanes = Lanes(2)
    gather(lanes.begin(lambda _: None, range(10)))
    threads = set(threading.enumerate()) - before
    assert threads
    del lanes
    gc.collect()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
