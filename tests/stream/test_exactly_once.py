"""Exactly once: what is rolled back, when the producer is made anew, and when to give up."""

import threading
import time
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from tests.stream.fakes import FakeProducer, failed, micro_batch
from worker.contracts.outbound import OutboundMessage
from worker.errors import AuthenticationError, DataError, DependencyError, TaglineError
from worker.stream import exactly_once
from worker.stream.assignment import Assignment
from worker.stream.exactly_once import MOST_ROLL_BACKS, ExactlyOncePublisher, in_time

MESSAGES = [OutboundMessage("out", None, b"v", [])]
FIRST, SECOND = ("t", 0), ("t", 1)
OFFSETS = {FIRST: 2}


class Factory:
    """Makes producers and keeps them."""

    def __init__(self) -> None:
        self.made: list[FakeProducer] = []

    def __call__(self) -> Producer:
        self.made.append(FakeProducer())
        return cast("Producer", self.made[-1])

    @property
    def current(self) -> FakeProducer:
        return self.made[-1]


@pytest.fixture
def factory() -> Factory:
    return Factory()


@pytest.fixture
def assignment() -> Assignment:
    made = Assignment()
    made.add([FIRST, SECOND])
    return made


@pytest.fixture
def publisher(factory: Factory, assignment: Assignment) -> ExactlyOncePublisher:
    return ExactlyOncePublisher(factory, assignment, timeout_s=0.2)


def test_a_transaction_is_committed_with_its_offsets(
    factory: Factory, publisher: ExactlyOncePublisher
) -> None:
    batch = micro_batch({}, (0, 1))
    assert publisher.publish(batch, MESSAGES, OFFSETS)
    assert [call for call in factory.current.calls if call != "poll"] == [
        "init",
        "begin",
        "produce",
        "offsets",
        "commit",
    ]
    assert publisher.finished(0) == [batch]
    assert publisher.finished(0) == []


def test_an_unknown_outcome_makes_the_producer_anew_and_reads_again(
    factory: Factory, publisher: ExactlyOncePublisher
) -> None:
    factory.current.errors["commit"] = [failed(KafkaError._TIMED_OUT)]
    assert not publisher.publish(micro_batch({}, (0, 1)), MESSAGES, OFFSETS)
    assert len(factory.made) == 2
    assert publisher.finished(0) == []
    assert publisher.publish(micro_batch({}, (0, 1)), MESSAGES, OFFSETS)


def test_a_hung_call_counts_as_timed_out(
    factory: Factory, publisher: ExactlyOncePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exactly_once, "HANG_MARGIN_S", 0.1)
    gate = threading.Event()
    monkeypatch.setattr(factory.current, "send_offsets_to_transaction", lambda *_: gate.wait())
    began = time.monotonic()
    assert not publisher.publish(micro_batch({}, (0, 1)), MESSAGES, OFFSETS)
    assert 0.2 < time.monotonic() - began < 5
    assert len(factory.made) == 2
    gate.set()


def test_roll_backs_without_a_commit_between_them_end_the_worker(
    factory: Factory, publisher: ExactlyOncePublisher
) -> None:
    for _ in range(MOST_ROLL_BACKS):
        factory.current.errors["begin"] = [failed(KafkaError._STATE)]
        assert not publisher.publish(micro_batch({}, (0, 1)), MESSAGES, OFFSETS)
    factory.current.errors["begin"] = [failed(KafkaError._STATE)]
    with pytest.raises(DependencyError):
        publisher.publish(micro_batch({}, (0, 1)), MESSAGES, OFFSETS)


def roll_back(factory: Factory, publisher: ExactlyOncePublisher, offset: int) -> None:
    """One of the first partition, up to ``offset``."""
    factory.current.errors["begin"] = [failed(KafkaError._STATE)]
    assert not publisher.publish(micro_batch({}, (0, offset - 1)), MESSAGES, {FIRST: offset})


def test_a_commit_beyond_the_place_that_failed_forgives_the_roll_backs(
    factory: Factory, publisher: ExactlyOncePublisher
) -> None:
    for offset in range(2, 2 + 2 * MOST_ROLL_BACKS):
        roll_back(factory, publisher, offset)
        assert publisher.publish(micro_batch({}, (0, offset - 1)), MESSAGES, {FIRST: offset})


@pytest.mark.parametrize(
    "elsewhere", [{SECOND: 9}, {FIRST: 3}], ids=["another partition", "before what failed"]
)
def test_a_commit_elsewhere_forgives_no_roll_back(
    factory: Factory, publisher: ExactlyOncePublisher, elsewhere: dict[tuple[str, int], int]
) -> None:
    """A message that is never taken would else roll back for ever, between commits of what others wrote."""
    for _ in range(MOST_ROLL_BACKS):
        roll_back(factory, publisher, 5)
        assert publisher.publish(micro_batch({}, (1, 1)), MESSAGES, elsewhere)
    with pytest.raises(DependencyError, match="committing a transaction"):
        roll_back(factory, publisher, 5)


@pytest.mark.parametrize("comes_back", [False, True])
def test_roll_backs_of_a_partition_that_went_are_forgiven(
    factory: Factory, publisher: ExactlyOncePublisher, assignment: Assignment, *, comes_back: bool
) -> None:
    for _ in range(2 * MOST_ROLL_BACKS):
        assignment.add([FIRST])
        roll_back(factory, publisher, 5)
        assignment.remove([FIRST])
        if comes_back:
            assignment.add([FIRST])
        assert publisher.publish(micro_batch({}, (1, 1)), MESSAGES, {SECOND: 9})


@pytest.mark.parametrize("where", ["produce", "delivery", "commit"])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        (KafkaError.RECORD_LIST_TOO_LARGE, DataError),
        (KafkaError.INVALID_RECORD, DataError),
        (KafkaError.POLICY_VIOLATION, DataError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AuthenticationError),
        (KafkaError._UNKNOWN_TOPIC, DataError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, DataError),
    ],
)
def test_a_refusal_for_good_ends_the_worker_at_once_whoever_tells(
    factory: Factory, publisher: ExactlyOncePublisher, where: str, code: int, error: type[TaglineError]
) -> None:
    """The commit alone tells that a topic may not be written to: it never joined the transaction, so nothing was delivered."""
    refusal = failed(code)
    if where == "delivery":
        factory.current.delivery_error = refusal.args[0]
        refusal = failed(KafkaError._FAIL)
    factory.current.errors["produce" if where == "produce" else "commit"] = [refusal]
    if where == "commit":  # which of its topics it was, and so whose rules they are, is not known then
        expected = pytest.raises(TaglineError, match="committing a transaction that writes to out")
    else:
        expected = pytest.raises(error, match=r"\bout\b")
    with expected:
        publisher.publish(micro_batch({}, (0, 1)), MESSAGES, OFFSETS)
    assert len(factory.made) == 1, "it was tried again"


@pytest.mark.parametrize("where", ["produce", "delivery"])
def test_a_message_that_is_too_large_ends_the_worker_instead_of_being_tried_again(
    factory: Factory, publisher: ExactlyOncePublisher, where: str
) -> None:
    too_large = failed(KafkaError.MSG_SIZE_TOO_LARGE)
    if where == "produce":
        factory.current.errors["produce"] = [too_large]
    else:
        factory.current.delivery_error = too_large.args[0]
        factory.current.errors["commit"] = [failed(KafkaError._FAIL)]
    with pytest.raises(DataError, match="larger than Kafka takes"):
        publisher.publish(micro_batch({}, (0, 1)), MESSAGES, OFFSETS)
    assert publisher.finished(0) == []
    publisher.close(0.1)
    calls = [call for call in factory.current.calls if call != "poll"]
    assert calls[-3:] == ["abort", "purge", "flush"], "readers would stand still at the open transaction"


def test_nothing_is_aborted_between_transactions(factory: Factory, publisher: ExactlyOncePublisher) -> None:
    assert publisher.publish(micro_batch({}, (0, 1)), MESSAGES, OFFSETS)
    publisher.close(0.1)
    assert "abort" not in factory.current.calls


def test_a_producer_that_cannot_start_is_an_error_with_a_hint(factory: Factory) -> None:
    def refusing() -> Producer:
        producer = factory()
        factory.current.errors["init"] = [failed(KafkaError._TIMED_OUT)] * 3
        return producer

    with pytest.raises(DependencyError, match="starting the transactional producer"):
        ExactlyOncePublisher(refusing, Assignment(), timeout_s=0.1)


def test_in_time_passes_results_and_errors_on() -> None:
    in_time(lambda: None, 5)
    with pytest.raises(KafkaException, match="injected"):
        in_time(lambda: (_ for _ in ()).throw(failed(KafkaError._STATE)), 5)
