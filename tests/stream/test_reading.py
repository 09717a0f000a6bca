"""Reading from outside, with a stand-in for the client."""

from typing import cast

import pytest
from confluent_kafka import Consumer, KafkaError

from tests.stream.fakes import TOPIC, FakeConsumer, failed
from worker.errors import DependencyError
from worker.stream import reading
from worker.stream.reading import Reader

PARTITION = (TOPIC, 0)
MOVES = (
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError._DESTROY_BROKER,
)


@pytest.fixture
def consumer() -> FakeConsumer:
    made = FakeConsumer()
    made.high_watermarks = {PARTITION: 12}
    return made


def reader(consumer: FakeConsumer) -> Reader:
    made = Reader.__new__(Reader)  # no client is opened
    made.consumer = cast("Consumer", consumer)
    return made


def test_a_leader_that_moves_is_waited_for(consumer: FakeConsumer) -> None:
    consumer.end_refusals += [failed(code) for code in MOVES]
    assert reader(consumer).bounds([PARTITION])[PARTITION][1] == 12
    assert not consumer.end_refusals


@pytest.mark.parametrize("code", MOVES)
def test_a_partition_that_stays_without_a_leader_is_not_called_a_missing_topic(
    consumer: FakeConsumer, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "ANSWER_TIMEOUT_S", 0.05)
    consumer.end_refusals += [failed(code)] * 20
    with pytest.raises(DependencyError, match="no answer within") as caught:
        reader(consumer).bounds([PARTITION])
    assert "no broker may lead it; `tagline doctor`" in (caught.value.hint or "")


def test_any_other_refusal_is_told_at_once(consumer: FakeConsumer) -> None:
    consumer.end_refusals += [failed(KafkaError._TRANSPORT), failed(KafkaError._TRANSPORT)]
    with pytest.raises(DependencyError):
        reader(consumer).bounds([PARTITION])
    assert len(consumer.end_refusals) == 1
