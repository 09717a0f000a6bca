"""Epochs: late work of a partition that was given up is recognised."""

from worker.stream.assignment import Assignment
from worker.stream.microbatch import MicroBatch
from worker.stream.record import Record

A, B = ("t", 0), ("t", 1)


def batch_of(assignment: Assignment, *records: Record) -> MicroBatch:
    epochs = {(r.topic, r.partition): assignment.epoch((r.topic, r.partition)) for r in records}
    return MicroBatch(list(records), epochs, 0, None, 0, 0)


def record(partition: int, offset: int) -> Record:
    return Record("t", partition, offset, 0, None, b"", [])


def test_a_batch_is_current_for_the_partitions_that_were_kept() -> None:
    assignment = Assignment()
    assignment.add([A, B])
    batch = batch_of(assignment, record(0, 5), record(1, 9), record(0, 6))
    assert batch.current(assignment) == {A, B}
    assignment.remove([A])
    assert batch.current(assignment) == {B}


def test_a_partition_that_comes_back_does_not_revive_old_work() -> None:
    assignment = Assignment()
    assignment.add([A])
    batch = batch_of(assignment, record(0, 5))
    assignment.remove([A])
    assignment.add([A])
    assert assignment.owns(A)
    assert batch.current(assignment) == frozenset()


def test_renewing_makes_everything_in_flight_stale_and_keeps_the_partitions() -> None:
    assignment = Assignment()
    assignment.add([A, B])
    batch = batch_of(assignment, record(0, 5), record(1, 9))
    assignment.renew()
    assert assignment.owned == {A, B}
    assert batch.current(assignment) == frozenset()


def test_the_first_offset_is_that_of_the_present_ownership() -> None:
    assignment = Assignment()
    assignment.add([A])
    assignment.saw(A, 40)
    assignment.saw(A, 41)
    assert assignment.first_offset(A) == 40
    assignment.remove([A])
    assignment.add([A])
    assert assignment.first_offset(A) is None


def test_the_offset_to_commit_is_that_of_the_next_record() -> None:
    assignment = Assignment()
    batch = batch_of(assignment, record(0, 5), record(1, 9), record(0, 8))
    assert batch.offsets() == {A: 9, B: 10}


def test_a_tenure_outlasts_a_rewind_and_ends_when_the_partition_goes() -> None:
    assignment = Assignment()
    assignment.add([A])
    tenure = assignment.tenure(A)
    assignment.renew()
    assignment.add([B])
    assert assignment.tenure(A) == tenure is not None
    assignment.remove([A])
    assert assignment.tenure(A) is None
    assignment.add([A])
    assert assignment.tenure(A) != tenure
