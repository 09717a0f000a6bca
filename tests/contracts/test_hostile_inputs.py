"""The input rows of the fault matrix: a reason code or a documented tolerance, never an exception, in bounded time."""

import time

import orjson
import pytest

from worker.contracts.envelope import Inbound, Rejection, Skip, decode
from worker.contracts.reasons import Reason
from worker.contracts.topics import REVIEWS_POSTED

HEAD = b'{"review_id":"R-1","listing_id":"L-1","reviewer_id":"U-1","body":'
GOOD = HEAD + b'"fine"}'
TOLERATED = None
MIB = 1 << 20
SECONDS_EACH = 0.5
"""Of the processor, because on a busy machine a test waits for its turn. The slowest takes 0.1 s."""


def with_body(text: str) -> bytes:
    return HEAD + orjson.dumps(text) + b"}"


def with_field(raw: bytes) -> bytes:
    return HEAD + b'"fine",' + raw + b"}"


HOSTILE = {
    "not UTF-8": (HEAD + b'"\xe9\xff"}', Reason.NOT_UTF8),
    "UTF-16": ('{"review_id":"R-1"}'.encode("utf-16"), Reason.NOT_UTF8),
    "an encoded surrogate": (HEAD + b'"\xed\xa0\x80"}', Reason.NOT_UTF8),
    "not JSON": (b"hello", Reason.NOT_JSON),
    "cut short": (GOOD[:-1], Reason.NOT_JSON),
    "followed by more": (GOOD + b"{}", Reason.NOT_JSON),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, Reason.NOT_JSON),
    "a number": (b"5", Reason.NOT_AN_OBJECT),
    "null": (b"null", Reason.NOT_AN_OBJECT),
    "an array": (b"[" + GOOD + b"]", Reason.NOT_AN_OBJECT),
    "a missing field": (b'{"review_id":"R-1","listing_id":"L-1","reviewer_id":"U-1"}', Reason.MISSING_FIELD),
    "a mistyped field": (HEAD + b"17}", Reason.INVALID_FIELD),
    "NaN as a rating": (with_field(b'"rating":NaN'), Reason.INVALID_FIELD),
    "NaN in an unknown field": (with_field(b'"x":NaN'), TOLERATED),
    "a lone surrogate": (HEAD + b'"\\ud800"}', Reason.NOT_JSON),
    "a lone surrogate in an unknown field": (with_field(b'"x":"\\udfff"'), Reason.NOT_JSON),
    "an escaped NUL in the text": (HEAD + b'"a\\u0000b"}', TOLERATED),
    "an escaped NUL in an id": (with_field(b'"order_id":"a\\u0000"'), Reason.INVALID_FIELD),
    "a raw NUL": (HEAD + b'"a\x00b"}', Reason.NOT_JSON),
    "duplicate keys": (with_field(b'"body":"the last one counts"'), TOLERATED),
    "200,000 duplicate keys": (b"{" + b'"a":1,' * 150_000 + b'"a":1}', Reason.MISSING_FIELD),
    "80,000 distinct keys": (
        b"{" + b",".join(b'"k%d":1' % n for n in range(80_000)) + b"}",
        Reason.MISSING_FIELD,
    ),
    "arrays 1,000,000 deep": (b"[" * 999_999, Reason.TOO_DEEP),
    "objects 190,000 deep": (b'{"a":' * 190_000, Reason.TOO_DEEP),
    "depth in an unknown field": (with_field(b'"x":' + b"[" * 400_000 + b"]" * 400_000), Reason.TOO_DEEP),
    "a 5,000-digit integer": (with_field(b'"rating":' + b"9" * 5_000), Reason.NUMBER_TOO_LONG),
    "a 5,000-digit integer in an unknown field": (with_field(b'"x":' + b"9" * 5_000), Reason.NUMBER_TOO_LONG),
    "a 900,000-digit integer": (with_field(b'"x":' + b"9" * 900_000), Reason.NUMBER_TOO_LONG),
    "a 900,000-digit fraction": (with_field(b'"rating":4.' + b"4" * 900_000), Reason.INVALID_FIELD),
    "a huge exponent": (with_field(b'"posted_at":1e999999999'), Reason.INVALID_FIELD),
    "a 10 MB text": (with_body("x" * 10_000_000), Reason.TOO_LARGE),
    "a million zero-width characters": (with_body("\u200b" * 1_000_000), Reason.TOO_LARGE),
    "300,000 zero-width characters": (with_body("\u200b" * 300_000), Reason.FIELD_TOO_LONG),
    "10,000 combining marks": (with_body("a" + "\u0301" * 10_000), TOLERATED),
    "U+FDFA repeated": (with_body("\ufdfa" * 50_000), TOLERATED),
    "one byte too many": (b" " * (1_000_001 - len(GOOD)) + GOOD, Reason.TOO_LARGE),
    "exactly the byte cap": (b" " * (1_000_000 - len(GOOD)) + GOOD, TOLERATED),
    "a schema registry's framing": (b"\x00\x00\x00\x00\x2a" + GOOD, Reason.SCHEMA_REGISTRY_FRAMING),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_value_gets_its_reason_or_is_tolerated_in_bounded_time(name):
    value, expected = HOSTILE[name]
    started = time.thread_time()
    result = decode(REVIEWS_POSTED, None, value, None)
    assert time.thread_time() - started < SECONDS_EACH
    if expected is TOLERATED:
        assert isinstance(result, Inbound)
    else:
        assert isinstance(result, Rejection)
        assert result.reason is expected
        assert len(result.detail) < 200


INVISIBLE = "\t\n\x00\x85\xad\u034f\u115f\u17b4\u180e\u200b\u2028\u202e\u3164\ufe0f\ufeff\uffa0\ufff9\U0001d173\U000e0001"


@pytest.mark.parametrize("hidden", INVISIBLE, ids=lambda hidden: f"U+{ord(hidden):04X}")
@pytest.mark.parametrize("field", ["review_id", "order_id"])
def test_an_id_that_holds_what_nobody_sees_is_invalid(field, hidden):
    result = decode(REVIEWS_POSTED, None, orjson.dumps(orjson.loads(GOOD) | {field: f"R{hidden}1"}), None)
    assert isinstance(result, Rejection)
    assert result.reason is Reason.INVALID_FIELD


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u3000 \u2009"])
def test_an_id_of_white_space_alone_is_invalid(blank):
    result = decode(REVIEWS_POSTED, None, orjson.dumps(orjson.loads(GOOD) | {"listing_id": blank}), None)
    assert isinstance(result, Rejection)
    assert result.reason is Reason.INVALID_FIELD


def test_an_id_may_hold_white_space_and_any_script():
    for spoken in ("订单 9", " R 1 ", "№\u00a05", "a😀"):
        result = decode(REVIEWS_POSTED, None, orjson.dumps(orjson.loads(GOOD) | {"listing_id": spoken}), None)
        assert isinstance(result, Inbound)
        assert result.event.listing_id == spoken


def test_the_schema_registry_prefix_is_named_with_its_id():
    assert (
        "schema id 42" in decode(REVIEWS_POSTED, None, HOSTILE["a schema registry's framing"][0], None).detail
    )


def test_the_last_of_two_equal_keys_counts():
    assert decode(REVIEWS_POSTED, None, HOSTILE["duplicate keys"][0], None).text == "the last one counts"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("", b"")],
        [("content-type", None), ("ce_type", None), ("ce_specversion", None)],
        [("content-type", b"\xff\xfe")],
        [("content-type", b"text/plain")],
        [("x", b"y" * MIB)],
        [(f"h{n}", b"v") for n in range(100_000)],
        [("traceparent", b"\x00" * MIB), ("tracestate", b"\xff" * MIB), ("ce_id", b"i" * MIB)],
        [("ce_time", b"9" * MIB)],
        [("dlq.reason", b"not_json"), ("dlq.redrives", b"nine")],
    ],
    ids=range(10),
)
def test_huge_and_malformed_headers_do_not_stop_a_good_record(headers):
    started = time.thread_time()
    assert isinstance(decode(REVIEWS_POSTED, None, GOOD, headers), Inbound)
    assert time.thread_time() - started < SECONDS_EACH


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"t" * MIB])
def test_a_type_that_cannot_be_read_is_a_wrong_type(raw):
    assert decode(REVIEWS_POSTED, None, GOOD, [("ce_type", raw)]).reason is Reason.WRONG_TYPE


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"another listing", b"k" * MIB])
def test_the_key_is_not_trusted(key):
    assert decode(REVIEWS_POSTED, key, GOOD, None).subject_key == b"L-1"


def test_a_thousand_bad_records_in_a_row_take_milliseconds():
    started = time.thread_time()
    results = [decode(REVIEWS_POSTED, None, b'{"review_id":%d}' % n, None) for n in range(1_000)]
    assert all(isinstance(result, Rejection) for result in results)
    assert time.thread_time() - started < 2


def test_a_tombstone_with_any_headers_is_a_skip():
    assert isinstance(decode(REVIEWS_POSTED, None, None, [("ce_type", b"\xff")]), Skip)
