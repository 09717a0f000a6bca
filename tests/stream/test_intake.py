"""Intake's own decisions: when it pauses, what it drops, what it waits for, and how it ends."""

import contextlib
from collections.abc import Callable
from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.stream.fakes import TOPIC, FakeConsumer, FakeMessage, FakeStages, failed
from worker.contracts.reasons import Reason
from worker.errors import DataError, DrainTimeoutError, ExitCode, StuckError
from worker.stream import intake as module
from worker.stream.assignment import Assignment
from worker.stream.buffer import WindowLimits
from worker.stream.intake import Intake, IntakeLimits
from worker.stream.journal import LIVES, Journal
from worker.stream.microbatch import MicroBatch, Outcome
from worker.stream.offsets import Offsets
from worker.stream.record import Fault, Record
from worker.stream.stages import Finished
from worker.stream.unreadable import REPEATS
from worker.telemetry import metrics

BOTH = [TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)]


def nothing_more() -> None:
    """Ends what one poll hands out: what follows comes after a seek has taken effect."""


class Bench:
    """An intake between a client and stages that a test plays."""

    def __init__(
        self, *, drain_timeout_s: float = 0.2, stuck_after_s: float = 30.0, journal: Journal | None = None
    ) -> None:
        self.consumer, self.stages, self.assignment = FakeConsumer(), FakeStages(), Assignment()
        self.memberships: list[bool] = []
        self.offsets = Offsets(cast("Consumer", self.consumer), self.assignment, start_from="earliest")
        self.intake = Intake(
            cast("Consumer", self.consumer),
            [TOPIC],
            assignment=self.assignment,
            stages=self.stages,
            offsets=self.offsets,
            limits=IntakeLimits(
                WindowLimits(10, 1_000_000, 0.01), 20, 1_000_000, drain_timeout_s, stuck_after_s
            ),
            transactional=False,
            journal=journal or Journal(),
            on_membership=self.memberships.append,
        )
        self.consumer.to_read.append(self.assign)

    def assign(self) -> None:
        self.callback("on_assign", BOTH)

    def callback(self, name: str, partitions: list[TopicPartition]) -> None:
        self.consumer.callbacks[name](self.consumer, partitions)

    def feed(self, *offsets: int, partition: int = 0) -> None:
        self.consumer.to_read += [FakeMessage(offset, partition=partition) for offset in offsets]

    def run(self, turns: int = 5, then: Callable[[], None] = lambda: None) -> None:
        """So many turns, then `then`, then the drain."""
        left = turns

        def stop() -> bool:
            nonlocal left
            left -= 1
            if left == 0:
                then()
            return left <= 0

        self.intake.run(stop)

    def submitted(self) -> list[int]:
        return [record.offset for batch in self.stages.submitted for record in batch.records]


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


class Suspicious(Journal):
    """A journal that suspects as a test tells it to."""

    def __init__(self, suspects: dict[int, int]) -> None:
        super().__init__()
        self.suspects = suspects

    @property
    def suspicious(self) -> bool:
        return bool(self.suspects)

    def deaths(self, record: Record) -> int:
        return self.suspects.get(record.offset, 0)


def test_suspected_records_travel_alone_with_nothing_else_in_flight() -> None:
    journal = Suspicious({3: 1, 4: 1})
    bench = Bench(journal=journal)
    bench.stages.at_once = False
    in_flight: list[int] = []
    submit = bench.stages.submit

    def submitted(batch: MicroBatch) -> None:
        submit(batch)
        in_flight.append(len(bench.stages.submitted) - finished)

    finished = 0

    def finish() -> None:
        nonlocal finished
        for batch in bench.stages.submitted[finished:]:
            for record in batch.records:
                journal.suspects.pop(record.offset, None)  # it did no harm
            bench.stages.done.append(Finished(batch, published=True))
            finished += 1

    bench.stages.submit = submitted  # type: ignore[method-assign]
    bench.feed(*range(8))
    bench.consumer.to_read += [
        nothing_more,
        finish,
        nothing_more,
        finish,
        nothing_more,
        finish,
        nothing_more,
        finish,
    ]
    bench.run(turns=12, then=finish)
    assert [[record.offset for record in batch.records] for batch in bench.stages.submitted] == [
        [0, 1, 2],
        [3],
        [4],
        [5, 6, 7],
    ]
    assert in_flight == [1, 1, 1, 1]
    assert bench.consumer.committed_offsets == {(TOPIC, 0): 8}


def test_a_record_that_killed_often_enough_is_marked_and_not_looked_at() -> None:
    bench = Bench(journal=Suspicious({1: LIVES, 2: LIVES - 1}))
    bench.feed(0, 1, 2)
    bench.run(turns=8)
    records = [record for batch in bench.stages.submitted for record in batch.records]
    assert [record.fault.reason if record.fault else None for record in records] == [
        None,
        Reason.QUARANTINED,
        None,
    ]
    assert records[1].value == FakeMessage(1).value()


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


def test_records_of_a_partition_that_left_inside_the_poll_are_not_read() -> None:
    bench = Bench()
    bench.consumer.to_read.append(lambda: bench.callback("on_revoke", BOTH[:1]))
    bench.feed(1, 2, partition=0)
    bench.feed(5, partition=1)
    bench.run(6)
    assert bench.submitted() == [5]


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


def test_an_end_behind_the_last_record_is_committed_when_nothing_before_it_is_at_work() -> None:
    bench = Bench()
    bench.stages.at_once = False
    bench.feed(1, 2)
    seen: list[dict[tuple[str, int], int]] = []

    def finish() -> None:
        seen.append(dict(bench.consumer.stored))
        bench.stages.done.extend(Finished(b, published=True) for b in bench.stages.submitted)

    bench.consumer.to_read += [FakeMessage(4, KafkaError._PARTITION_EOF), nothing_more, finish]
    bench.run(8)
    assert seen == [{}]
    assert bench.consumer.committed_offsets == {(TOPIC, 0): 4}


@pytest.mark.parametrize("meanwhile", ["more is read", "lost", "rolled back", "behind the record"])
def test_an_end_that_no_longer_holds_is_not_committed(meanwhile: str) -> None:
    bench = Bench()
    bench.stages.at_once = False
    bench.consumer.committed_offsets = {(TOPIC, 0): 1}
    bench.feed(1, 2)
    end = FakeMessage(3 if meanwhile == "behind the record" else 4, KafkaError._PARTITION_EOF)
    bench.consumer.to_read += [end, nothing_more]

    def roll_back() -> None:
        bench.stages.rewinds = 1
        bench.stages.done.extend(Finished(b, published=False) for b in bench.stages.submitted)

    if meanwhile == "more is read":
        bench.feed(6)
    elif meanwhile == "lost":
        bench.consumer.to_read.append(lambda: bench.callback("on_lost", BOTH[:1]))
    elif meanwhile == "rolled back":
        bench.consumer.to_read.append(roll_back)
    with contextlib.suppress(DrainTimeoutError):
        bench.run(8)
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


def test_a_record_that_cannot_be_read_is_passed_over_with_a_seek() -> None:
    bench = Bench()
    for _ in range(REPEATS):
        bench.consumer.to_read += [FakeMessage(7, KafkaError._BAD_MSG), nothing_more]
    bench.run(10)
    assert bench.consumer.seeks == [(0, 7), (0, 7), (0, 8)], "twice again, then past it"
    faults = [record.fault for batch in bench.stages.submitted for record in batch.records]
    assert faults == [Fault(Reason.UNREADABLE, "_BAD_MSG", attempts=REPEATS)]


def test_every_record_of_a_batch_that_cannot_be_decoded_gets_its_stand_in_and_no_neighbour_is_lost() -> None:
    # The client reports the batch 7..9 at its first offset, whichever was asked for, and may go on with 10 by itself.
    bench = Bench()
    bench.feed(5, 6)
    broken = FakeMessage(7, KafkaError._BAD_COMPRESSION)
    for _ in range(REPEATS - 1 + 3):
        bench.consumer.to_read += [broken, FakeMessage(10), nothing_more]
    bench.feed(10, 11)
    bench.run(20)
    read = [(record.offset, record.fault) for batch in bench.stages.submitted for record in batch.records]
    assert read == [
        (5, None),
        (6, None),
        *(
            (n, Fault(Reason.UNREADABLE, "_BAD_COMPRESSION", attempts))
            for n, attempts in ((7, REPEATS), (8, 1), (9, 1))
        ),
        (10, None),
        (11, None),
    ]
    assert bench.consumer.seeks == [(0, 7), (0, 7), (0, 8), (0, 9), (0, 10)]


def test_a_batch_that_was_damaged_on_its_way_once_is_read_again_and_nothing_of_it_is_skipped() -> None:
    bench = Bench()
    bench.feed(5)
    bench.consumer.to_read += [
        FakeMessage(6, KafkaError._BAD_MSG),
        FakeMessage(8),
        FakeMessage(9),
        nothing_more,
    ]
    bench.feed(6, 7, 8, 9)
    bench.run(8)
    assert bench.submitted() == [5, 6, 7, 8, 9]
    assert bench.consumer.seeks == [(0, 6)]


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
        cast("Consumer", bench.consumer), bench.assignment, start_from="earliest", stop=lambda: told
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


def test_an_offset_out_of_range_ends_the_worker() -> None:
    bench = Bench()
    bench.consumer.to_read.append(FakeMessage(7, KafkaError._AUTO_OFFSET_RESET))
    with pytest.raises(DataError) as caught:
        bench.run()
    assert caught.value.exit_code is ExitCode.DATA
    assert bench.consumer.closed


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


def test_an_exception_of_the_client_ends_with_an_exit_code() -> None:
    bench = Bench()

    def refuse() -> None:
        raise KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))

    bench.consumer.to_read.append(refuse)
    with pytest.raises(Exception, match="reading from Kafka") as caught:
        bench.run()
    assert getattr(caught.value, "exit_code", None) is ExitCode.AUTHENTICATION
