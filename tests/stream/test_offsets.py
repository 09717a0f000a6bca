"""Offsets: only what is safe and ours is stored, refusals cost a replay and no more, and starts are never guessed."""

from typing import cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from tests.stream.fakes import TOPIC, FakeConsumer, failed, micro_batch
from worker.errors import AuthenticationError, DataError, DependencyError
from worker.stream.assignment import Assignment
from worker.stream.journal import Journal
from worker.stream.offsets import COMMIT_INTERVAL_S, Offsets

FIRST, SECOND = (TOPIC, 0), (TOPIC, 1)


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


@pytest.fixture
def assignment() -> Assignment:
    made = Assignment()
    made.add([FIRST, SECOND])
    return made


def offsets(consumer: FakeConsumer, assignment: Assignment, start_from: str = "earliest") -> Offsets:
    return Offsets(cast("Consumer", consumer), assignment, start_from=start_from, journal=Journal())


def test_the_offset_stored_is_that_of_the_next_record(consumer: FakeConsumer, assignment: Assignment) -> None:
    batch = micro_batch({FIRST: 1, SECOND: 1}, (0, 4), (0, 5), (1, 9))
    offsets(consumer, assignment).store(batch)
    assert consumer.stored == {FIRST: 6, SECOND: 10}


def test_nothing_is_stored_for_a_partition_that_went_away_and_came_back(
    consumer: FakeConsumer, assignment: Assignment
) -> None:
    batch = micro_batch({FIRST: 1, SECOND: 1}, (0, 4), (1, 9))
    assignment.remove([SECOND])
    assignment.add([SECOND])
    offsets(consumer, assignment).store(batch)
    assert consumer.stored == {FIRST: 5}


def test_a_store_that_is_refused_is_no_error(consumer: FakeConsumer, assignment: Assignment) -> None:
    consumer.refusals.append(failed(KafkaError._STATE))
    offsets(consumer, assignment).store(micro_batch({FIRST: 1}, (0, 4)))
    assert consumer.stored == {}


def test_commits_are_sent_once_per_interval(
    consumer: FakeConsumer, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    made = offsets(consumer, assignment)
    for after in (0.5, 0.9, 1.0, 1.5, 2.0):
        made.commit_if_due(100.0 + after * COMMIT_INTERVAL_S)
    assert consumer.calls == ["commit later"] * 2


def test_a_commit_that_a_rebalance_refused_is_sent_again_though_nothing_new_was_stored(
    consumer: FakeConsumer, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    made = offsets(consumer, assignment)
    made.store(micro_batch({FIRST: 1}, (0, 4)))
    consumer.refusals.append(failed(KafkaError.REBALANCE_IN_PROGRESS))
    made.commit_if_due(110.0)
    assert consumer.committed_offsets == {}
    made.commit_if_due(120.0)
    assert consumer.committed_offsets == {FIRST: 5}


def test_a_commit_says_whether_it_was_taken(consumer: FakeConsumer, assignment: Assignment) -> None:
    made = offsets(consumer, assignment)
    consumer.refusals += [failed(KafkaError.ILLEGAL_GENERATION), failed(KafkaError._NO_OFFSET)]
    assert made.commit_now() is False
    assert made.commit_now() is True  # there is nothing to commit, which is as good
    assert made.commit_now() is True


@pytest.mark.parametrize(("start_from", "expected"), [("earliest", OFFSET_BEGINNING), ("latest", 12)])
def test_a_partition_starts_at_its_committed_offset_or_where_the_setting_says(
    consumer: FakeConsumer, assignment: Assignment, start_from: str, expected: int
) -> None:
    consumer.committed_offsets = {FIRST: 7}
    consumer.high_watermarks = {FIRST: 20, SECOND: 12}
    found = offsets(consumer, assignment, start_from).starting_points(
        [TopicPartition(*FIRST), TopicPartition(*SECOND)]
    )
    assert found is not None
    assert [one.offset for one in found] == [7, expected]


def test_a_partition_without_an_offset_can_be_an_error(
    consumer: FakeConsumer, assignment: Assignment
) -> None:
    with pytest.raises(DataError, match="has no committed offset") as caught:
        offsets(consumer, assignment, "error").starting_points([TopicPartition(*FIRST)])
    assert "a partition that was added" in (caught.value.hint or "")


def test_a_look_up_is_repeated_until_the_coordinator_answers(
    consumer: FakeConsumer, assignment: Assignment
) -> None:
    consumer.committed_offsets = {FIRST: 7}
    consumer.refusals += [failed(KafkaError._TIMED_OUT), failed(KafkaError.UNSTABLE_OFFSET_COMMIT)]
    (found,) = offsets(consumer, assignment).starting_points([TopicPartition(*FIRST)])
    assert found.offset == 7


def test_a_look_up_without_an_answer_ends_with_a_hint(consumer: FakeConsumer, assignment: Assignment) -> None:
    consumer.refusals += [failed(KafkaError._TIMED_OUT)] * 20
    made = Offsets(
        cast("Consumer", consumer),
        assignment,
        start_from="earliest",
        journal=Journal(),
        lookup_timeout_s=0.15,
    )
    with pytest.raises(DependencyError, match="looking up committed offsets: no answer"):
        made.starting_points([TopicPartition(*FIRST)])


def test_a_look_up_ends_without_an_answer_when_the_worker_is_told_to_stop(
    consumer: FakeConsumer, assignment: Assignment
) -> None:
    consumer.refusals.append(failed(KafkaError._TIMED_OUT))
    made = Offsets(
        cast("Consumer", consumer), assignment, start_from="earliest", journal=Journal(), stop=lambda: True
    )
    assert made.starting_points([TopicPartition(*FIRST)]) is None


def test_the_end_of_a_partition_is_asked_for_until_its_leader_answers(
    consumer: FakeConsumer, assignment: Assignment
) -> None:
    consumer.high_watermarks = {FIRST: 12}
    consumer.end_refusals += [
        failed(code)
        for code in (
            KafkaError._UNKNOWN_PARTITION,
            KafkaError._TIMED_OUT,
            KafkaError.LEADER_NOT_AVAILABLE,
            KafkaError.NOT_LEADER_FOR_PARTITION,
            KafkaError._DESTROY_BROKER,
            KafkaError.OFFSET_NOT_AVAILABLE,
            KafkaError.UNKNOWN_LEADER_EPOCH,
            KafkaError.FENCED_LEADER_EPOCH,
        )
    ]
    (found,) = offsets(consumer, assignment, "latest").starting_points([TopicPartition(*FIRST)]) or []
    assert found.offset == 12
    assert not consumer.end_refusals


ANSWERS = pytest.mark.parametrize(
    ("refusals", "code", "doing"),
    [
        ("end_refusals", KafkaError._UNKNOWN_PARTITION, "looking up the end of t/0"),
        ("beginning_refusals", KafkaError._TIMED_OUT, "committing where reading begins"),
    ],
)
"""What the latest beginning waits for: where the end is, and that it is committed."""


@ANSWERS
def test_a_latest_beginning_without_an_answer_ends_with_a_hint(
    consumer: FakeConsumer, assignment: Assignment, refusals: str, code: int, doing: str
) -> None:
    consumer.high_watermarks = {FIRST: 12}
    getattr(consumer, refusals).extend([failed(code)] * 20)
    made = Offsets(
        cast("Consumer", consumer), assignment, start_from="latest", journal=Journal(), lookup_timeout_s=0.15
    )
    with pytest.raises(DependencyError, match=f"{doing}: no answer"):
        made.starting_points([TopicPartition(*FIRST)])


@ANSWERS
def test_a_stop_ends_the_wait_for_a_latest_beginning(
    consumer: FakeConsumer, assignment: Assignment, refusals: str, code: int, doing: str
) -> None:
    consumer.high_watermarks = {FIRST: 12}
    getattr(consumer, refusals).append(failed(code))
    made = Offsets(
        cast("Consumer", consumer), assignment, start_from="latest", journal=Journal(), stop=lambda: True
    )
    assert made.starting_points([TopicPartition(*FIRST)]) is None, doing


@pytest.mark.parametrize(
    "code", [KafkaError._TIMED_OUT, KafkaError.NOT_COORDINATOR, KafkaError.REBALANCE_IN_PROGRESS]
)
def test_where_the_latest_begins_is_committed_until_it_is_taken(
    consumer: FakeConsumer, assignment: Assignment, code: int
) -> None:
    consumer.committed_offsets = {SECOND: 4}
    consumer.high_watermarks = {FIRST: 12}
    consumer.beginning_refusals += [failed(code)] * 2
    both = [TopicPartition(*FIRST), TopicPartition(*SECOND)]
    found = offsets(consumer, assignment, "latest").starting_points(both) or []
    assert [one.offset for one in found] == [12, 4]
    assert consumer.calls == ["commit of 1"] * 3
    assert consumer.committed_offsets == {FIRST: 12, SECOND: 4}


@pytest.mark.parametrize(
    "code", [KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.FENCED_MEMBER_EPOCH]
)
def test_a_member_that_the_group_went_on_without_commits_no_beginning_and_hears_of_it_later(
    consumer: FakeConsumer, assignment: Assignment, code: int
) -> None:
    consumer.high_watermarks = {FIRST: 12}
    consumer.beginning_refusals.append(failed(code))
    (found,) = offsets(consumer, assignment, "latest").starting_points([TopicPartition(*FIRST)]) or []
    assert found.offset == 12
    assert consumer.committed_offsets == {}


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
    ],
)
def test_a_coordinator_that_starts_or_moves_is_asked_again(
    consumer: FakeConsumer, assignment: Assignment, code: int
) -> None:
    consumer.committed_offsets = {FIRST: 7}
    consumer.refusals += [failed(code)] * 3
    (found,) = offsets(consumer, assignment).starting_points([TopicPartition(*FIRST)]) or []
    assert found.offset == 7


def test_a_look_up_that_is_forbidden_is_not_repeated(consumer: FakeConsumer, assignment: Assignment) -> None:
    consumer.refusals.append(failed(KafkaError.GROUP_AUTHORIZATION_FAILED))
    with pytest.raises(AuthenticationError):
        offsets(consumer, assignment).starting_points([TopicPartition(*FIRST)])


def test_a_rewind_goes_to_the_committed_offsets_or_to_where_reading_began(
    consumer: FakeConsumer, assignment: Assignment
) -> None:
    third = (TOPIC, 2)
    assignment.add([third])  # nothing was read of it: there is nothing to rewind
    assignment.saw(FIRST, 3)
    assignment.saw(SECOND, 20)
    consumer.committed_offsets = {FIRST: 7}
    offsets(consumer, assignment).rewind()
    assert consumer.seeks == [(0, 7), (1, 20)]


def test_time_in_which_the_process_stood_still_does_not_count(
    consumer: FakeConsumer, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def stopped_for_an_hour(_partitions: object, timeout: float) -> None:
        nonlocal now
        now += 3_600
        monkeypatch.setattr(consumer, "committed", answered)
        raise failed(KafkaError._TIMED_OUT)

    answered = consumer.committed
    consumer.committed_offsets = {FIRST: 7}
    monkeypatch.setattr(consumer, "committed", stopped_for_an_hour)
    monkeypatch.setattr("time.monotonic", lambda: now)
    (found,) = offsets(consumer, assignment).starting_points([TopicPartition(*FIRST)])
    assert found.offset == 7
