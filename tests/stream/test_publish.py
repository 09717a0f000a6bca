"""At least once: nothing counts as finished before its last acknowledgement, and no failure is swallowed."""

from typing import cast

import pytest
from confluent_kafka import KafkaError, Producer

from tests.stream.fakes import FakeProducer, failed, micro_batch
from worker.contracts.outbound import OutboundMessage
from worker.errors import DataError, DependencyError
from worker.stream.publish import AtLeastOncePublisher


def messages(count: int) -> list[OutboundMessage]:
    return [OutboundMessage("out", None, b"v", []) for _ in range(count)]


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


@pytest.fixture
def publisher(producer: FakeProducer) -> AtLeastOncePublisher:
    return AtLeastOncePublisher(cast("Producer", producer))


def test_a_micro_batch_is_finished_with_its_last_acknowledgement(
    producer: FakeProducer, publisher: AtLeastOncePublisher
) -> None:
    producer.acknowledging = False
    batch = micro_batch({}, (0, 1))
    publisher.publish(batch, messages(2), {})
    producer.deliver_one()
    assert publisher.finished(0) == []
    producer.deliver_one()
    assert publisher.finished(0) == [batch]
    assert publisher.pending == 0


def test_micro_batches_are_finished_in_the_order_in_which_they_were_published(
    producer: FakeProducer, publisher: AtLeastOncePublisher
) -> None:
    producer.acknowledging = False
    first, second = micro_batch({}, (0, 1)), micro_batch({}, (0, 2))
    publisher.publish(first, messages(1), {})
    publisher.publish(second, messages(1), {})
    producer.waiting.rotate()  # the second is acknowledged before the first
    producer.deliver_one()
    assert publisher.finished(0) == []
    producer.deliver_one()
    assert publisher.finished(0) == [first, second]


def test_a_micro_batch_without_messages_waits_for_those_before_it(
    producer: FakeProducer, publisher: AtLeastOncePublisher
) -> None:
    producer.acknowledging = False
    first, empty = micro_batch({}, (0, 1)), micro_batch({}, (0, 2))
    publisher.publish(first, messages(1), {})
    publisher.publish(empty, [], {})
    assert publisher.finished(0) == []
    producer.deliver_one()
    assert publisher.finished(0) == [first, empty]


def test_a_full_queue_is_waited_for(producer: FakeProducer, publisher: AtLeastOncePublisher) -> None:
    producer.errors["produce"] = [BufferError("full"), BufferError("full")]
    batch = micro_batch({}, (0, 1))
    publisher.publish(batch, messages(1), {})
    assert publisher.finished(0) == [batch]


def test_a_failed_delivery_ends_the_worker_and_names_the_topic(
    producer: FakeProducer, publisher: AtLeastOncePublisher
) -> None:
    producer.acknowledging = False
    publisher.publish(micro_batch({}, (0, 1)), messages(1), {})
    producer.delivery_error = KafkaError(KafkaError._MSG_TIMED_OUT, "too late")
    producer.deliver_one()
    with pytest.raises(DependencyError, match="publishing to out"):
        publisher.finished(0)
    assert producer.calls[-1] == "purge", "what is queued behind it would overtake it"


def test_what_is_acknowledged_behind_a_failed_delivery_is_never_finished(
    producer: FakeProducer, publisher: AtLeastOncePublisher
) -> None:
    producer.acknowledging = False
    publisher.publish(micro_batch({}, (0, 1)), messages(2), {})
    publisher.publish(micro_batch({}, (0, 2)), messages(1), {})
    producer.waiting.rotate()  # the second is acknowledged first, then one of the first, and then the other fails
    producer.deliver_one()
    producer.deliver_one()
    assert publisher.finished(0) == []
    producer.delivery_error = KafkaError(KafkaError._MSG_TIMED_OUT, "too late")
    producer.deliver_one()
    for _ in range(2):
        with pytest.raises(DependencyError):
            publisher.finished(0)


def test_a_message_that_is_too_large_says_what_to_raise(
    producer: FakeProducer, publisher: AtLeastOncePublisher
) -> None:
    producer.errors["produce"] = [failed(KafkaError.MSG_SIZE_TOO_LARGE)]
    with pytest.raises(DataError) as caught:
        publisher.publish(micro_batch({}, (0, 1)), messages(1), {})
    assert "max.message.bytes of out" in (caught.value.hint or "")


def test_a_broken_producer_is_an_error_with_an_exit_code_and_is_let_go_quietly(
    producer: FakeProducer, publisher: AtLeastOncePublisher
) -> None:
    producer.acknowledging = False
    publisher.publish(micro_batch({}, (0, 1)), messages(1), {})
    producer.errors = {"poll": [failed(KafkaError._FATAL)], "purge": [failed(KafkaError._FATAL)]}
    with pytest.raises(DependencyError):
        publisher.finished(0)
    publisher.close(0.1)
    producer.errors["flush"] = [SystemError("returned NULL without setting an exception")]
    publisher.close(0.1)
