"""Which errors of the client are waited out, which pass a record over, and which end the worker."""

import pytest
from confluent_kafka import KafkaError

from tests.stream.fakes import FakeMessage
from worker.errors import AuthenticationError, DataError, TaglineError, UsageError
from worker.stream.unreadable import REPEATS, Damage, UnreadableRecords

PLACE = ("t", 0)


def judged(
    judge: UnreadableRecords, *messages: FakeMessage, next_offset: int | None = None
) -> list[Damage | None]:
    return [judge.judge(message, lambda _: next_offset) for message in messages]  # type: ignore[arg-type] # it has the methods used


@pytest.mark.parametrize("code", [KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._UNDERFLOW])
def test_a_place_is_read_again_and_after_some_tries_its_record_is_passed_over(code: int) -> None:
    *again, last = judged(UnreadableRecords(), *[FakeMessage(7, code)] * REPEATS)
    assert again == [Damage(PLACE, 7, None)] * (REPEATS - 1)
    assert last is not None
    assert last.read_from == 8
    assert last.record is not None
    assert (*PLACE, 7, None) == (
        last.record.topic,
        last.record.partition,
        last.record.offset,
        last.record.value,
    )
    assert last.record.fault


def test_an_error_at_the_start_of_a_batch_belongs_to_the_record_that_comes_next() -> None:
    *_, last = judged(UnreadableRecords(), *[FakeMessage(7, KafkaError._BAD_MSG)] * REPEATS, next_offset=9)
    assert last is not None
    assert last.record is not None
    assert (last.record.offset, last.read_from) == (9, 10)


def test_the_rest_of_a_batch_that_was_given_up_gets_no_further_tries() -> None:
    judge = UnreadableRecords()
    judged(judge, *[FakeMessage(7, KafkaError._BAD_MSG)] * REPEATS)
    for place in (8, 9):
        (found,) = judged(judge, FakeMessage(7, KafkaError._BAD_MSG), next_offset=place)
        assert found is not None
        assert found.record is not None
        assert found.record.offset == place
    (other,) = judged(judge, FakeMessage(20, KafkaError._BAD_MSG), next_offset=20)
    assert other == Damage(PLACE, 20, None), "another batch is tried again first"


def test_errors_at_different_places_or_partitions_do_not_add_up() -> None:
    judge = UnreadableRecords()
    wandering = [FakeMessage(offset, KafkaError._BAD_MSG) for offset in range(10)]
    assert all(found is not None and found.record is None for found in judged(judge, *wandering))
    alternating = [FakeMessage(50, KafkaError._BAD_MSG, partition=n) for n in range(REPEATS)]
    assert all(found is not None and found.record is None for found in judged(judge, *alternating))


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT])
def test_an_outage_is_waited_out_however_often_it_is_reported(code: int) -> None:
    assert judged(UnreadableRecords(), *[FakeMessage(7, code)] * 100) == [None] * 100


def test_an_error_without_an_offset_belongs_to_no_record() -> None:
    assert judged(UnreadableRecords(), *[FakeMessage(None, KafkaError._BAD_MSG)] * 10) == [None] * 10


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (KafkaError._AUTO_OFFSET_RESET, DataError),
        (KafkaError.OFFSET_OUT_OF_RANGE, DataError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, DataError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AuthenticationError),
        (KafkaError.INVALID_SESSION_TIMEOUT, UsageError),
        (KafkaError.INCONSISTENT_GROUP_PROTOCOL, UsageError),
        (KafkaError.GROUP_MAX_SIZE_REACHED, UsageError),
    ],
)
def test_what_waiting_does_not_mend_is_raised_at_once(code: int, error: type[TaglineError]) -> None:
    with pytest.raises(error, match="reading t partition 0"):
        judged(UnreadableRecords(), FakeMessage(7, code))
