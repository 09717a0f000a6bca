"""What a poll brings: records, ends of partitions, what cannot be read, and what is suspected."""

import contextlib

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.stream.fakes import TOPIC, FakeMessage
from tests.stream.intake_bench import BOTH, Bench, nothing_more
from worker.contracts.reasons import Reason
from worker.errors import DataError, DrainTimeoutError, ExitCode
from worker.stream.journal import LIVES, Journal
from worker.stream.microbatch import MicroBatch
from worker.stream.record import Fault, Record
from worker.stream.stages import Finished
from worker.stream.unreadable import REPEATS


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


@pytest.mark.parametrize(
    ("deaths", "windows"),
    [
        ({3: 1, 4: 1}, [[0, 1, 2], [3, 4], [5, 6, 7]]),
        ({3: 2, 4: 2}, [[0, 1, 2], [3], [4], [5, 6, 7]]),
        ({3: 1, 4: LIVES - 1, 5: 1}, [[0, 1, 2], [3], [4], [5], [6, 7]]),
    ],
    ids=["of one death", "of more", "mixed"],
)
def test_suspected_records_travel_with_their_like_and_nothing_else_in_flight(
    deaths: dict[int, int], windows: list[list[int]]
) -> None:
    journal = Suspicious(dict(deaths))
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

    bench.stages.submit = submitted  # type: ignore[method-assign] # to look on
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
        nothing_more,
        finish,
    ]
    bench.run(turns=14, then=finish)
    assert [[record.offset for record in batch.records] for batch in bench.stages.submitted] == windows
    assert in_flight == [1] * len(windows)
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


def test_records_of_a_partition_that_left_inside_the_poll_are_not_read() -> None:
    bench = Bench()
    bench.consumer.to_read.append(lambda: bench.callback("on_revoke", BOTH[:1]))
    bench.feed(1, 2, partition=0)
    bench.feed(5, partition=1)
    bench.run(6)
    assert bench.submitted() == [5]


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


def test_an_offset_out_of_range_ends_the_worker() -> None:
    bench = Bench()
    bench.consumer.to_read.append(FakeMessage(7, KafkaError._AUTO_OFFSET_RESET))
    with pytest.raises(DataError) as caught:
        bench.run()
    assert caught.value.exit_code is ExitCode.DATA
    assert bench.consumer.closed


def test_an_exception_of_the_client_ends_with_an_exit_code() -> None:
    bench = Bench()

    def refuse() -> None:
        raise KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))

    bench.consumer.to_read.append(refuse)
    with pytest.raises(Exception, match="reading from Kafka") as caught:
        bench.run()
    assert getattr(caught.value, "exit_code", None) is ExitCode.AUTHENTICATION
