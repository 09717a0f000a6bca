"""One line per event: readable, harmless, and filtered as asked."""

import json

import pytest

from worker.errors import UsageError
from worker.stream.record import Record
from worker.stream.tap import as_columns, as_json, matches, parse_filters

TAGGED = {
    "review_id": "R1",
    "listing_id": "L1",
    "sentiment": {"label": "negative", "confidence": 0.91234},
    "eligible": True,
}


def record(value: bytes | None, key: bytes | None = b"L1") -> Record:
    return Record("reviews.tagged.v1", 2, 40, 1_700_000_000_000, key, value, [("ce_id", b"x\xff")])


REVIEW = record(json.dumps(TAGGED).encode())


def test_json_lines_hold_everything() -> None:
    line = json.loads(as_json(REVIEW))
    assert (line["topic"], line["partition"], line["offset"], line["key"]) == (
        "reviews.tagged.v1",
        2,
        40,
        "L1",
    )
    assert line["headers"] == {"ce_id": "x\\xff"}
    assert line["value"] == TAGGED


@pytest.mark.parametrize(
    "value", [b"\xff\x00", b"{cut", b"[" * 100_000, b'{"rating":NaN}', b'{"rating":1e999}', b"9" * 5_000]
)
def test_a_value_that_is_not_json_is_in_base64(value: bytes) -> None:
    line = json.loads(as_json(record(value)))
    assert "value" not in line
    assert line["value_base64"]


def test_a_tombstone_is_a_value_of_null() -> None:
    assert json.loads(as_json(record(None)))["value"] is None
    assert "tombstone" in as_columns(record(None))


def test_columns_show_the_subject_the_label_and_the_confidence() -> None:
    line = as_columns(REVIEW)
    for part in ("reviews.tagged.v1", "L1", "R1", "negative", "0.912"):
        assert part in line


@pytest.mark.parametrize("timestamp_ms", [253_402_300_800_000, (1 << 63) - 1])
def test_columns_show_a_record_of_a_time_that_no_clock_has(timestamp_ms: int) -> None:
    assert as_columns(REVIEW._replace(timestamp_ms=timestamp_ms)).startswith("--:--:--  reviews.tagged.v1")


def test_columns_cannot_draw_on_the_terminal() -> None:
    line = as_columns(record(b'{"body": "red \\u001b[31m\\nline"}', b"\x1b]0;title"))
    assert line.isprintable()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], True),
        (["key=L1"], True),
        (["key=L2"], False),
        (["sentiment.label=negative"], True),
        (["sentiment.label=positive"], False),
        (["key=L1", "sentiment.label=positive"], False),
        (["eligible=true"], True),
        (["sentiment.confidence=0.91234"], True),
        (["no.such.field=x"], False),
    ],
)
def test_filters_choose_by_key_and_by_fields(filters: list[str], expected: bool) -> None:
    assert matches(REVIEW, parse_filters(filters)) is expected


@pytest.mark.parametrize("text", ["key", "=x", ""])
def test_a_filter_without_a_name_or_a_value_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_filters([text])
