"""Dead letters hold the original byte for byte and say why."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.contracts import deadletter
from worker.contracts.deadletter import (
    Failure,
    dead_letter,
    message_bytes,
    read_dead_letter,
    redriven_headers,
    redrives,
    trimmed,
)
from worker.contracts.outbound import Coordinates
from worker.contracts.reasons import Reason, Stage

AT = Coordinates("reviews.posted.v1", 4, 99, 1_767_601_800_000)
FAILURE = Failure(Reason.NOT_JSON, Stage.PREPARE, "expected value at line 1 column 1", attempts=2)
HEADERS = [("b", b"2"), ("a", None), ("b", b"\xff\x00")]


def letter(at=AT, failure=FAILURE, key=b"\xffkey", value=b"\x00\xff", headers=HEADERS, names="tagline"):
    return dead_letter(
        at,
        failure,
        key=key,
        value=value,
        headers=headers,
        group="tagline",
        worker_version="0.1.0",
        names=names,
    )


def test_the_original_and_ten_headers_go_to_the_inputs_own_topic():
    message = letter()
    assert message.topic == "reviews.posted.v1.dlq.v1"
    assert (message.key, message.value) == (b"\xffkey", b"\x00\xff")
    assert message.headers == [
        *HEADERS,
        ("dlq.reason", b"not_json"),
        ("dlq.stage", b"prepare"),
        ("dlq.topic", b"reviews.posted.v1"),
        ("dlq.partition", b"4"),
        ("dlq.offset", b"99"),
        ("dlq.timestamp", b"1767601800000"),
        ("dlq.group", b"tagline"),
        ("dlq.attempts", b"2"),
        ("dlq.worker_version", b"0.1.0"),
        ("dlq.error", b"expected value at line 1 column 1"),
    ]


names = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["dlq.reason", "dlq.redrives", "dlq.trimmed", "kafka_dlt-original-topic"]),
)


@given(
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=50),
    headers=st.none() | st.lists(st.tuples(names, st.none() | st.binary(max_size=12)), max_size=6),
    timestamp_ms=st.none() | st.integers(0, 2**60),
    error=st.text(max_size=300),
)
def test_whatever_the_original_was_it_is_read_back_exactly(key, value, headers, timestamp_ms, error):
    message = letter(
        Coordinates("t", 1, 2, timestamp_ms),
        Failure(Reason.INVALID_FIELD, Stage.CLASSIFY, error),
        key,
        value,
        headers,
    )
    parsed = read_dead_letter(message.headers)
    assert parsed is not None
    assert (message.key, message.value, parsed.original_headers) == (key, value, headers or [])
    assert (parsed.topic, parsed.partition, parsed.offset, parsed.timestamp_ms) == ("t", 1, 2, timestamp_ms)
    assert (parsed.reason, parsed.stage, parsed.group) == ("invalid_field", "classify", "tagline")
    for _, content in message.headers[len(headers or []) :]:
        assert content is not None
        assert content.isascii()
        assert len(content) <= 200


def test_the_error_is_one_printable_line():
    parsed = read_dead_letter(
        letter(failure=FAILURE._replace(error="line\r\nforged\x1b[0m 中文" * 50)).headers
    )
    assert parsed is not None
    assert parsed.error.isprintable()
    assert parsed.error.startswith("line?forged?[0m ?line?")


def test_a_redriven_record_that_fails_again_counts_up_and_keeps_its_own_headers():
    headers = HEADERS
    for expected in (1, 2, 3):
        parsed = read_dead_letter(letter(headers=headers).headers)
        assert parsed is not None
        headers = redriven_headers(parsed)
        assert redrives(headers) == expected
        assert headers[:-1] == HEADERS
        assert [name for name, _ in headers].count(deadletter.REDRIVES) == 1


@pytest.mark.parametrize("broken", [None, b"", b"many", b"\xff", b"9" * 400])
def test_a_broken_loop_guard_counts_as_none(broken):
    assert redrives([(deadletter.REDRIVES, broken)]) == 0


def test_a_trimmed_letter_keeps_key_and_coordinates_and_says_so():
    whole = letter()
    assert trimmed(whole, message_bytes(whole)) is whole
    cut = trimmed(whole, message_bytes(whole) - 1)
    parsed = read_dead_letter(cut.headers)
    assert parsed is not None
    assert (cut.key, cut.value) == (b"\xffkey", None)
    assert (parsed.offset, parsed.trimmed, parsed.original_headers) == (99, ("headers", "value"), [])


def test_a_key_that_is_too_large_by_itself_goes_too_and_the_letter_says_so():
    whole = letter(key=b"k" * 5_000)
    cut = trimmed(whole, 4_000)
    parsed = read_dead_letter(cut.headers)
    assert parsed is not None
    assert message_bytes(cut) <= 4_000
    assert (cut.key, cut.value, parsed.trimmed) == (None, None, ("headers", "key", "value"))


@pytest.mark.parametrize("headers", [None, [], [("dlq.error", b"x")], [("a", None)]])
def test_other_records_are_not_dead_letters(headers):
    assert read_dead_letter(headers) is None


def test_a_foreign_dead_letter_with_missing_numbers_is_still_readable():
    parsed = read_dead_letter(
        [("dlq.reason", b"unheard_of"), ("dlq.offset", b"soon"), ("dlq.timestamp", None)]
    )
    assert parsed is not None
    assert (parsed.reason, parsed.offset, parsed.partition, parsed.timestamp_ms) == (
        "unheard_of",
        -1,
        -1,
        None,
    )


def test_connects_names_are_written_on_request():
    assert letter(names="connect").headers[len(HEADERS) :] == [
        ("__connect.errors.topic", b"reviews.posted.v1"),
        ("__connect.errors.partition", b"4"),
        ("__connect.errors.offset", b"99"),
        ("__connect.errors.connector.name", b"tagline"),
        ("__connect.errors.stage", b"prepare"),
        ("__connect.errors.class.name", b"0.1.0"),
        ("__connect.errors.exception.class.name", b"not_json"),
        ("__connect.errors.exception.message", b"expected value at line 1 column 1"),
    ]


def test_springs_names_are_written_on_request_with_its_binary_numbers():
    assert letter(names="spring").headers[len(HEADERS) :] == [
        ("kafka_dlt-original-topic", b"reviews.posted.v1"),
        ("kafka_dlt-original-partition", struct.pack(">i", 4)),
        ("kafka_dlt-original-offset", struct.pack(">q", 99)),
        ("kafka_dlt-original-timestamp", struct.pack(">q", 1_767_601_800_000)),
        ("kafka_dlt-original-consumer-group", b"tagline"),
        ("kafka_dlt-exception-fqcn", b"not_json"),
        ("kafka_dlt-exception-message", b"expected value at line 1 column 1"),
    ]


@pytest.mark.parametrize("names", ["tagline", "connect", "spring"])
@pytest.mark.parametrize("earlier", ["tagline", "connect", "spring"])
def test_a_letter_is_read_back_under_any_names_even_if_its_original_was_one(names, earlier):
    original = letter(names=earlier).headers
    message = letter(AT._replace(offset=7, timestamp_ms=None), headers=original, names=names)
    parsed = read_dead_letter(message.headers)
    assert parsed is not None
    assert (parsed.reason, parsed.topic, parsed.partition, parsed.offset) == ("not_json", AT.topic, 4, 7)
    assert (parsed.group, parsed.timestamp_ms, parsed.error) == ("tagline", None, FAILURE.error)
    assert parsed.original_headers == original
    assert read_dead_letter(trimmed(message, 0).headers).offset == 7
