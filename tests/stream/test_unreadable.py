"""Which errors of the client are waited out, which pass a record over, and which end the worker."""

import pytest
from confluent_kafka import KafkaError

from tests.stream.fakes import FakeMessage
from worker.errors import AuthenticationError, DataError, TaglineError
from worker.stream.record import Record
from worker.stream.unreadable import REPEATS, UnreadableRecords


def judged(judge: UnreadableRecords, *messages: FakeMessage) -> list[Record | None]:
    return [judge.judge(message) for message in messages]  # type: ignore[arg-type] # it has the methods used


@pytest.mark.parametrize("code", [KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._UNDERFLOW])
def test_an_error_that_repeats_at_one_offset_passes_the_record_over(code: int) -> None:
    found = judged(UnreadableRecords(), *[FakeMessage(7, code)] * REPEATS)
    assert found[:-1] == [None] * (REPEATS - 1)
    record = found[-1]
    assert record is not None
    assert (record.topic, record.partition, record.offset, record.value) == ("t", 0, 7, None)
    assert record.fault


def test_errors_at_different_offsets_or_partitions_do_not_add_up() -> None:
    judge = UnreadableRecords()
    wandering = [FakeMessage(offset, KafkaError._BAD_MSG) for offset in range(10)]
    assert judged(judge, *wandering) == [None] * 10
    alternating = [FakeMessage(50, KafkaError._BAD_MSG, partition=n) for n in range(REPEATS)]
    assert judged(judge, *alternating) == [None] * REPEATS


def test_after_a_record_was_passed_over_counting_begins_anew() -> None:
    judge = UnreadableRecords()
    judged(judge, *[FakeMessage(7, KafkaError._BAD_MSG)] * REPEATS)
    assert judged(judge, *[FakeMessage(7, KafkaError._BAD_MSG)] * (REPEATS - 1)) == [None] * (REPEATS - 1)


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
    ],
)
def test_what_waiting_does_not_mend_is_raised_at_once(code: int, error: type[TaglineError]) -> None:
    with pytest.raises(error, match="reading t partition 0"):
        judged(UnreadableRecords(), FakeMessage(7, code))
