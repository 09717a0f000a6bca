"""Intake's own decisions: when it pauses, what it drops, what it waits for, and how it ends."""

import contextlib
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError

from tests.stream.fakes import TOPIC, failed
from tests.stream.intake_bench import BOTH, Bench, nothing_more
from worker.errors import DrainTimeoutError, StuckError
from worker.stream import intake as module
from worker.stream.journal import Journal
from worker.stream.microbatch import Outcome
from worker.stream.offsets import Offsets
from worker.stream.stages import Finished
from worker.telemetry import metrics


def test_what_was_read_is_submitted_committed_and_left() -> None:
    bench = Bench()
    bench.feed(*range(15))
    bench.run()
    assert bench.submitted() == list(range(15))
    assert bench.consumer.committed_offsets == {(TOPIC, 0): 15}
    assert bench.consumer.closed


def test_what_was_read_and_waits_for_a_window_is_in_flight_too() -> None:
    def in_flight() -> float | None:
        return metrics.REGISTRY.get_sample_value("tagline_in_flight_records")

    bench = Bench()
    bench.stages.has_room = False
    bench.feed(*range(5))
    seen: list[float | None] = []
    bench.run(then=lambda: seen.append(in_flight()))
    assert seen == [5]


def test_a_micro_batch_that_is_rolled_back_counts_when_it_is_published_and_not_before() -> None:
    def published() -> float:
        return metrics.REGISTRY.get_sample_value("tagline_records_published_total") or 0.0

    bench, before = Bench(), published()
    bench.stages.at_once = False
    bench.feed(1, 2, 3)
    counted: list[float] = []

    def end(*, as_published: bool) -> None:
        for batch in bench.stages.submitted:
            batch.outcomes = [Outcome("tagged", [], ("review", "positive"), 0.9) for _ in batch.records]
            bench.stages.done.append(Finished(batch, published=as_published))
        bench.stages.submitted.clear()

    def roll_back() -> None:
        end(as_published=False)
        bench.stages.rewinds = 1
        bench.feed(1, 2, 3)

    bench.consumer.to_read.append(roll_back)
    bench.run(turns=8, then=lambda: (counted.append(published() - before), end(as_published=True))[0])
    assert counted == [0]
    assert published() - before == 3


def test_it_says_when_the_group_has_answered_and_when_it_has_thrown_us_out() -> None:
    bench = Bench()
    bench.consumer.to_read[0] = lambda: bench.callback(
        "on_assign", []
    )  # a spare member: the answer is "nothing"
    bench.consumer.to_read += [
        nothing_more,
        lambda: bench.callback("on_lost", []),
        nothing_more,
        bench.assign,
    ]
    bench.run(turns=6)
    assert bench.memberships == [True, False, True]


def test_above_the_high_watermark_it_pauses_and_goes_on_polling_and_resumes_at_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAUSE_AFTER_S", 0.0)
    bench = Bench()
    bench.stages.at_once = False
    bench.feed(*range(25))

    def finish(batches: slice) -> None:
        bench.stages.done.extend(Finished(batch, published=True) for batch in bench.stages.submitted[batches])

    bench.consumer.to_read += [lambda: None, lambda: finish(slice(2))]  # 5 of 25 stay in flight
    bench.run(14, then=lambda: finish(slice(2, None)))
    paused = bench.consumer.calls.index("pause 2")
    resumed = bench.consumer.calls.index("resume 2", paused)
    assert "poll" in bench.consumer.calls[paused:resumed], "a member that does not poll loses its partitions"


def test_while_the_stages_are_full_they_are_waited_for_and_kafka_is_only_asked() -> None:
    bench = Bench()
    bench.stages.has_room = False
    bench.feed(*range(5))
    bench.run(turns=6)
    full = bench.consumer.waits[1:]
    assert full
    assert set(full) == {0}, "a poll would end when something is read, which nobody could hand over"
    assert bench.stages.waits.count(module.POLL_S) >= len(full)


def test_with_a_window_open_and_room_for_it_kafka_is_waited_for_briefly() -> None:
    bench = Bench()
    bench.stages.hungry = False
    bench.feed(1)
    bench.run(turns=6)
    assert module.BUSY_POLL_S in bench.consumer.waits
    assert module.POLL_S not in bench.stages.waits


def test_a_revoke_waits_for_what_is_in_flight_and_commits_it_first() -> None:
    bench = Bench()
    bench.stages.at_once = False
    bench.feed(1, 2)

    def revoke() -> None:
        (batch,) = bench.stages.submitted
        bench.stages.done.append(Finished(batch, published=True))
        bench.callback("on_revoke", BOTH)
        assert bench.consumer.committed_offsets == {(TOPIC, 0): 3}

    bench.run(4, then=revoke)
    assert bench.consumer.calls.index("commit") < bench.consumer.calls.index("unassign 2")


def test_a_revoke_gives_up_after_the_drain_time_out_and_commits_nothing_of_it_later() -> None:
    bench = Bench(drain_timeout_s=0.05)
    bench.stages.at_once = False
    bench.feed(1, 2)

    def revoke() -> None:
        bench.callback("on_revoke", BOTH)
        bench.stages.done.extend(Finished(b, published=True) for b in bench.stages.submitted)

    bench.run(4, then=revoke)
    assert bench.stages.submitted
    assert bench.consumer.stored == {}


def test_partitions_that_were_lost_are_dropped_and_nothing_is_stored() -> None:
    bench = Bench()
    bench.stages.at_once = False
    bench.stages.has_room = False
    bench.feed(1, 2)

    def lose() -> None:
        bench.callback("on_lost", BOTH)
        bench.stages.has_room = True

    bench.consumer.to_read += [lambda: None, lose]
    bench.run(8)
    assert not bench.consumer.to_read, "it was not lost"
    assert bench.submitted() == []
    assert bench.consumer.stored == {}


def test_a_partition_that_was_lost_while_paused_comes_back_unpaused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_AFTER_S", 0.0)
    bench = Bench()
    bench.stages.at_once = False
    bench.feed(*range(25))
    seen: list[set[tuple[str, int]]] = []

    def lose() -> None:
        seen.append(set(bench.consumer.paused))
        bench.callback("on_lost", BOTH)
        bench.stages.done.extend(Finished(batch, published=False) for batch in bench.stages.submitted)

    bench.consumer.to_read += [lambda: None, lose, lambda: None, lambda: None, bench.assign]
    bench.run(16)
    assert seen == [{(TOPIC, 0), (TOPIC, 1)}], "it was paused when it lost them"
    assert bench.consumer.calls.count("assign 2") == 2
    assert bench.consumer.paused == set(), "nothing would ever be read of it again"


def test_after_a_roll_back_it_reads_again_from_the_committed_offsets() -> None:
    bench = Bench()
    bench.stages.at_once = False
    bench.consumer.committed_offsets = {(TOPIC, 0): 1}
    bench.feed(1, 2)

    def roll_back() -> None:
        bench.stages.rewinds = 1
        bench.stages.done.extend(Finished(b, published=False) for b in bench.stages.submitted)

    bench.consumer.to_read.append(roll_back)
    bench.run(6)
    assert bench.consumer.seeks == [(0, 1)]
    assert bench.consumer.stored == {}


def test_a_stop_in_a_rewind_reads_nothing_behind_what_was_rolled_back() -> None:
    """The client still holds records behind it, and without a seek they would pass for what comes next."""
    bench = Bench()
    bench.stages.at_once = False
    stopping = False
    bench.offsets._stop = lambda: stopping
    bench.feed(1, 2, 3)

    def roll_back() -> None:
        nonlocal stopping
        bench.stages.rewinds = 1
        bench.stages.done.extend(Finished(b, published=False) for b in bench.stages.submitted)
        bench.consumer.refusals.append(failed(KafkaError.COORDINATOR_LOAD_IN_PROGRESS))
        stopping = True

    bench.consumer.to_read.append(roll_back)
    bench.feed(4, 5, 6)
    bench.intake.run(lambda: stopping and bench.stages.rewinds == 1 and not bench.consumer.refusals)
    assert bench.submitted() == [1, 2, 3]
    assert bench.consumer.seeks == []
    assert bench.consumer.stored == {}


def test_a_drain_whose_last_commit_is_refused_says_so() -> None:
    bench = Bench(drain_timeout_s=0.05)
    bench.feed(1, 2)
    refusals = [failed(KafkaError.ILLEGAL_GENERATION) for _ in range(10_000)]
    with pytest.raises(DrainTimeoutError, match="refused the last commit"):
        bench.run(5, then=lambda: bench.consumer.refusals.extend(refusals))
    assert bench.consumer.closed


def test_a_stop_ends_the_look_up_of_offsets_and_nothing_is_read() -> None:
    bench = Bench()
    told = False
    bench.offsets = bench.intake._offsets = Offsets(
        cast("Consumer", bench.consumer),
        bench.assignment,
        start_from="earliest",
        journal=Journal(),
        stop=lambda: told,
    )
    bench.consumer.refusals += [failed(KafkaError.NOT_COORDINATOR), failed(KafkaError.NOT_COORDINATOR)]

    def tell() -> None:
        nonlocal told
        told = True
        bench.consumer.refusals.append(failed(KafkaError.NOT_COORDINATOR))
        bench.callback("on_assign", BOTH)

    bench.consumer.to_read.append(tell)
    bench.feed(1, 2)
    bench.run(3)
    assert bench.submitted() == []
    assert bench.consumer.closed


@pytest.mark.parametrize("start_from", ["earliest", "latest"])
def test_a_look_up_that_takes_long_is_no_standstill(start_from: str) -> None:
    """A killed worker's transaction may hide the offsets for minutes: its successor waits, and must not be restarted for it."""
    bench = Bench(start_from=start_from, transactional=True)
    bench.consumer.high_watermarks = {(TOPIC, 0): 7, (TOPIC, 1): 0}
    bench.feed(7)
    turns: list[int] = []

    def look_up() -> None:
        bench.stages.at_once = True
        bench.stages.done.extend(Finished(b, published=True) for b in bench.stages.submitted)
        turns.append(len(bench.progress))
        bench.consumer.committed_offsets.clear()
        refusals = bench.consumer.refusals if start_from == "earliest" else bench.consumer.end_refusals
        refusals += [failed(KafkaError._TIMED_OUT) for _ in range(3)]
        bench.callback("on_assign", BOTH)
        turns.append(len(bench.progress))
        assert bench.progress[-1] == 0, "what was finished meanwhile still counts as in flight"

    bench.stages.at_once = False
    bench.consumer.to_read += [nothing_more, look_up]
    bench.run(8)
    assert turns[1] - turns[0] == 3


def test_a_drain_that_does_not_end_says_so_and_commits_nothing() -> None:
    bench = Bench(drain_timeout_s=0.05)
    bench.stages.at_once = False
    bench.feed(1, 2)
    with pytest.raises(DrainTimeoutError, match="2 records were still in flight"):
        bench.run()
    assert bench.consumer.committed_offsets == {}
    assert bench.consumer.closed


def test_a_drain_tries_again_to_commit_when_a_rebalance_refused_it() -> None:
    bench = Bench()
    bench.feed(1, 2)
    bench.run(5, then=lambda: bench.consumer.refusals.append(failed(KafkaError.ILLEGAL_GENERATION)))
    assert bench.consumer.calls[-3:] == ["commit", "poll", "commit"]
    assert bench.consumer.committed_offsets == {(TOPIC, 0): 3}


def test_a_stage_that_failed_ends_the_worker_with_its_error() -> None:
    bench = Bench()

    def fail() -> None:
        bench.stages.failure = ValueError("the device")

    bench.consumer.to_read.append(fail)
    with pytest.raises(ValueError, match="the device"):
        bench.run()
    assert bench.consumer.closed


def test_stages_that_finish_nothing_for_too_long_are_stuck() -> None:
    bench = Bench(stuck_after_s=0.05)
    bench.stages.at_once = False
    bench.feed(1, 2)
    with pytest.raises(StuckError):
        bench.run(100_000)


@pytest.mark.parametrize(("steps", "step_s", "stuck"), [(1, 1_000.0, False), (40, 1.0, True)])
def test_only_time_in_which_the_process_ran_makes_it_stuck(
    steps: int, step_s: float, monkeypatch: pytest.MonkeyPatch, *, stuck: bool
) -> None:
    """One that was stopped is not: it would leave its records to its successor as suspects."""
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    bench = Bench(stuck_after_s=30.0)
    bench.stages.at_once = False
    bench.feed(1, 2)

    def step() -> None:
        nonlocal now
        now += step_s

    bench.consumer.to_read += [nothing_more, *[step] * steps, nothing_more]

    def finish() -> None:
        bench.stages.done.extend(Finished(batch, published=True) for batch in bench.stages.submitted)

    with pytest.raises(StuckError) if stuck else contextlib.nullcontext():
        bench.run(steps + 6, then=finish)
    assert now == pytest.approx(31.0 if stuck else 1_000.0, abs=1.0)
