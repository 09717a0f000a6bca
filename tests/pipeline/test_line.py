"""The line: order, back-pressure, roll-backs, and what happens when a stage fails."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.waiting import wait_until
from worker.contracts.outbound import OutboundMessage
from worker.pipeline.line import Line
from worker.stream.assignment import Assignment
from worker.stream.microbatch import MicroBatch, Outcome
from worker.stream.record import Partition, Record
from worker.stream.stages import Finished
from worker.telemetry import metrics

PARTITION: Partition = ("t", 0)


class CountingPublisher:
    """Finishes a micro-batch one call after it was published; rolls back those whose first offset is named."""

    commits_offsets = False

    def __init__(self, roll_back: frozenset[int] = frozenset()) -> None:
        self.published: list[tuple[list[str], dict[Partition, int]]] = []
        self.closed = False
        self.served = 0
        self._roll_back = roll_back
        self._pending: list[MicroBatch] = []

    @property
    def pending(self) -> int:
        return len(self._pending)

    def publish(
        self, batch: MicroBatch, messages: list[OutboundMessage], offsets: dict[Partition, int]
    ) -> bool:
        if batch.records[0].offset in self._roll_back:
            return False
        self.published.append(([message.topic for message in messages], offsets))
        self._pending.append(batch)
        return True

    def finished(self, timeout_s: float) -> list[MicroBatch]:
        self.served += 1
        done, self._pending = self._pending, []
        return done

    def close(self, timeout_s: float) -> None:
        self.closed = True


def conclude(batch: MicroBatch) -> None:
    batch.outcomes = [
        Outcome("tagged", [OutboundMessage(f"out-{record.offset}", None, b"", [])], ("review", "positive"))
        for record in batch.records
    ]


def nothing(batch: MicroBatch) -> None:
    """A stage that leaves the micro-batch as it is."""


def waited(gate: threading.Event) -> None:
    assert gate.wait(10)


class Bench:
    """A line with one partition, and a shorthand to make and collect micro-batches."""

    def __init__(self, line: Line, assignment: Assignment, publisher: CountingPublisher) -> None:
        self.line, self.assignment, self.publisher = line, assignment, publisher

    def batch(self, *offsets: int, rewind: int = 0) -> MicroBatch:
        records = [Record("t", 0, offset, 0, None, b"", []) for offset in offsets]
        return MicroBatch(records, {PARTITION: self.assignment.epoch(PARTITION)}, rewind, None, 0, 0)

    def submit(self, batch: MicroBatch) -> None:
        wait_until(lambda: self.line.has_room)
        self.line.submit(batch)

    def collect(self, count: int) -> list[Finished]:
        done: list[Finished] = []
        wait_until(lambda: len(done) >= count or bool(done.extend(self.line.finished(0.01))))
        return done


@contextmanager
def running(
    prepare: Callable[[MicroBatch], None] = nothing,
    classify: Callable[[MicroBatch], None] = nothing,
    roll_back: frozenset[int] = frozenset(),
) -> Iterator[Bench]:
    assignment = Assignment()
    assignment.add([PARTITION])
    publisher = CountingPublisher(roll_back)
    line = Line(
        prepare=prepare, classify=classify, conclude=conclude, publisher=publisher, assignment=assignment
    )
    line.start()
    try:
        yield Bench(line, assignment, publisher)
    finally:
        line.stop(5.0)


def test_micro_batches_come_out_in_the_order_they_went_in() -> None:
    with running() as bench:
        for first in range(0, 20, 2):
            bench.submit(bench.batch(first, first + 1))
        done = bench.collect(10)
    assert [finished.batch.records[0].offset for finished in done] == list(range(0, 20, 2))
    assert all(finished.published for finished in done)
    assert bench.publisher.published[3] == (["out-6", "out-7"], {PARTITION: 8})


def test_a_slow_device_holds_intake_back_and_is_fed_one_ahead() -> None:
    gate = threading.Event()
    with running(classify=lambda _batch: waited(gate)) as bench:
        assert bench.line.hungry
        bench.submit(bench.batch(0))
        wait_until(lambda: bench.line.hungry)  # the device took it, and wants the next one prepared meanwhile
        bench.submit(bench.batch(1))
        assert not bench.line.hungry
        bench.submit(bench.batch(2))
        bench.submit(bench.batch(3))
        time.sleep(0.05)
        assert not bench.line.has_room  # one on the device, one before it, one in prepare, one before that
        gate.set()
        assert len(bench.collect(4)) == 4


def test_whoever_waits_for_results_hears_that_there_is_room_again() -> None:
    gate = threading.Event()
    with running(prepare=lambda _batch: waited(gate)) as bench:
        bench.submit(bench.batch(0))
        bench.submit(bench.batch(1))
        bench.line.finished(0)
        assert not bench.line.has_room
        opened = threading.Timer(0.05, gate.set)
        opened.start()
        done = 0
        while not bench.line.has_room:
            heard = time.monotonic()
            done += len(bench.line.finished(60))  # the first may be through before the second makes room
            assert time.monotonic() - heard < 30, "it was told, and did not wait the time out"
        bench.collect(2 - done)


def test_what_waits_in_front_of_each_stage_is_seen_while_it_waits() -> None:
    def depths() -> list[float | None]:
        return [
            metrics.REGISTRY.get_sample_value("tagline_queue_depth", {"stage": stage})
            for stage in ("prepare", "classify", "publish")
        ]

    gate = threading.Event()
    with running(classify=lambda _batch: waited(gate)) as bench:
        assert depths() == [0, 0, 0]
        for offset in range(4):
            bench.submit(bench.batch(offset))
        wait_until(lambda: depths() == [1, 1, 0])
        gate.set()
        bench.collect(4)
        assert depths() == [0, 0, 0]


def test_the_producer_is_served_while_nothing_is_published() -> None:
    with running() as bench:
        wait_until(lambda: bench.publisher.served > 2)


def test_a_stage_that_fails_ends_the_line_and_publishes_nothing_more() -> None:
    def fail(batch: MicroBatch) -> None:
        if batch.records[0].offset == 1:
            raise ValueError("broken")

    with running(classify=fail) as bench:
        bench.submit(bench.batch(0))
        bench.collect(1)
        bench.submit(bench.batch(1))
        with pytest.raises(ValueError, match="broken"):
            wait_until(lambda: bool(bench.line.check()))
        assert [offsets for _, offsets in bench.publisher.published] == [{PARTITION: 1}]
    assert bench.publisher.closed


def test_what_was_read_of_a_revoked_partition_is_neither_published_nor_committed() -> None:
    gate = threading.Event()
    with running(prepare=lambda _batch: waited(gate)) as bench:
        bench.submit(bench.batch(5))
        bench.assignment.remove([PARTITION])
        bench.assignment.add([PARTITION])
        gate.set()
        assert [finished.published for finished in bench.collect(1)] == [False]
    assert bench.publisher.published == []


def test_only_what_is_still_ours_of_a_micro_batch_is_published_and_counted() -> None:
    with running() as bench:
        batch = bench.batch(0)
        batch.records.append(Record("t", 1, 7, 0, None, b"", []))
        batch.epochs["t", 1] = bench.assignment.epoch(("t", 1)) - 1
        bench.submit(batch)
        bench.collect(1)
    assert bench.publisher.published == [(["out-0"], {PARTITION: 1})]
    assert len(batch.outcomes) == 1


def test_after_a_roll_back_nothing_read_before_the_rewind_is_published() -> None:
    with running(roll_back=frozenset({2})) as bench:
        for first in (0, 2, 4):
            bench.submit(bench.batch(first))
        assert [finished.published for finished in bench.collect(3)] == [True, False, False]
        assert bench.line.rewinds == 1
        bench.submit(bench.batch(6, rewind=1))
        assert [finished.published for finished in bench.collect(1)] == [True]
    assert [offsets for _, offsets in bench.publisher.published] == [{PARTITION: 1}, {PARTITION: 7}]
