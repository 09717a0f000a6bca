"""Logs: nothing of a user, nothing forged, nothing in floods, and never an exception in the code that logs."""

import io
import json
import logging
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from worker.errors import UsageError
from worker.settings import TelemetrySettings
from worker.telemetry.log_limits import RateLimit, printable
from worker.telemetry.logs import TEXT_KEYS, configure_logs, kafka_logger


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def lines() -> Callable[[], list[dict[str, Any]]]:
    stream = io.StringIO()
    configure_logs(TelemetrySettings(), stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


log = structlog.get_logger("made before logs are configured")


def fail_with(error: Exception) -> None:
    raise error


def test_an_event_is_one_line_of_json_with_level_and_time(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.info("partitions assigned", partitions=["reviews.posted.v1/0"], owned=1)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "partitions assigned", "level": "info", "owned": 1, "partitions": ["reviews.posted.v1/0"],
    }  # fmt: skip


def test_no_field_that_may_hold_a_users_text_is_written(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.warning("rejected", **dict.fromkeys(TEXT_KEYS, "SECRET"), detail={"text": "SECRET", "offset": 3})
    log.warning("bytes", original_key=b"SECRET", nested=[[[["SECRET"]]]], odd=io.StringIO("SECRET"))
    log.warning("numbers may have any name", records=3, customer_id=117)
    assert "SECRET" not in json.dumps(lines())
    assert lines()[0]["detail"] == {"offset": 3}
    assert lines()[1]["original_key"] == "<6 bytes>"
    assert lines()[2]["records"] == 3
    assert "customer_id" not in lines()[2]


def test_an_exception_is_told_by_type_and_place_and_its_message_only_when_it_is_ours(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    for error in (ValueError("SECRET review"), UsageError("a setting is wrong")):
        try:
            fail_with(error)
        except Exception:
            log.exception("stage failed", cause=error)
    theirs, ours = lines()
    assert "SECRET" not in json.dumps(theirs)
    assert (theirs["error"], theirs["cause"]) == ("ValueError", "ValueError")
    assert "test_logs.py" in theirs["frames"][-1]
    assert (ours["error"], ours["reason"]) == ("UsageError", "a setting is wrong")


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_event_cannot_forge_a_line_or_steer_the_terminal(log_format: str) -> None:
    stream = io.StringIO()
    configure_logs(TelemetrySettings.model_validate({"log_format": log_format}), stream)
    evil = "a\nb\r\x1b[31mred\x9b2J\u202egnp.exe\u2028c\u200bd\x00"
    log.warning(evil, topic=evil, **{"k\ney": 1}, listed=[evil])
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert written.endswith("\n")
    kinds = {unicodedata.category(character) for character in written.rstrip("\n")}
    assert kinds.isdisjoint({"Cc", "Cf", "Zl", "Zp"})
    assert "\\u" not in written


def test_values_are_bounded_in_length_and_number(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.info(
        "big", detail="x" * 10_000_000, listed=list(range(100_000)), mapped={str(n): n for n in range(1000)}
    )
    (line,) = lines()
    assert len(line["detail"]) <= 503
    assert len(line["listed"]) <= 50
    assert len(line["mapped"]) <= 50


def test_printable_keeps_chinese_emoji_and_accents() -> None:
    assert printable("好评 👍 naïve", 100) == "好评 👍 naïve"
    assert printable("abcdef", 3) == "abc..."
    assert printable("", 3) == ""


def test_a_repeated_error_is_written_a_few_times_and_its_number_later() -> None:
    now = [0.0]
    limit = RateLimit(repeats=2, period_s=10.0, clock=lambda: now[0])

    def passes(level: str, event: str, **fields: object) -> dict[str, Any] | None:
        try:
            return dict(limit(None, "", {"level": level, "event": event, **fields}))
        except structlog.DropEvent:
            return None

    assert [passes("error", "down") is not None for _ in range(5)] == [True, True, False, False, False]
    assert passes("error", "something else") is not None
    assert all(passes("info", "down") for _ in range(5)), "only warnings and errors are limited"
    now[0] = 11.0
    later = passes("error", "down")
    assert later is not None
    assert later["suppressed"] == 3
    now[0] = 22.0
    assert "suppressed" not in (passes("error", "down") or {})


def test_many_different_events_do_not_grow_the_memory() -> None:
    limit = RateLimit()
    for n in range(5_000):
        limit(None, "", {"level": "error", "event": f"event {n}"})
    assert len(limit._seen) <= 1_000


def test_librdkafka_and_other_libraries_log_through_the_same_filters(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    kafka_logger().info("FAIL [%s]: connect\nrefused", "rdkafka#consumer-1")
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("odd %d", 3)
    for _ in range(20):
        logging.getLogger("some.library").error("again %d", _)
    written = lines()
    assert [line["event"] for line in written[:2]] == ["FAIL [rdkafka#consumer-1]: connect refused", "odd 3"]
    assert [line["logger"] for line in written[:2]] == ["librdkafka", "some.library"]
    assert len([line for line in written if line["event"].startswith("again")]) == 5


def test_below_the_level_nothing_is_written() -> None:
    stream = io.StringIO()
    configure_logs(TelemetrySettings(log_level="error"), stream)
    log.warning("not this")
    kafka_logger().warning("nor this")
    log.error("but this")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["but this"]


@pytest.mark.parametrize(
    ("log_format", "stream", "as_json"),
    [
        ("auto", io.StringIO, True),
        ("auto", Terminal, False),
        ("json", Terminal, True),
        ("console", io.StringIO, False),
    ],
)
def test_auto_writes_for_people_on_a_terminal_and_json_elsewhere(
    log_format: str, stream: type[io.StringIO], as_json: bool
) -> None:
    target = stream()
    configure_logs(TelemetrySettings.model_validate({"log_format": log_format}), target)
    log.info("hello")
    assert target.getvalue().startswith("{") is as_json
    assert "hello" in target.getvalue()


def test_a_stream_that_is_closed_or_full_loses_the_line_only() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        configure_logs(TelemetrySettings(log_format="json"), stream) if not stream.closed else None
        log.error("lost")


def test_unloggable_values_do_not_raise(lines: Callable[[], list[dict[str, Any]]]) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    log.info("odd", odd=Odd(), surrogate="\ud800", nan=float("nan"), huge=10**30, mixed={1: 2, b"x": 3})
    (line,) = lines()
    assert line["odd"] == "<Odd>"


def test_a_flood_of_one_kind_from_librdkafka_hides_no_other(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    said = [
        *(("FAIL", f"sasl_ssl://broker-{n}:9093: Connection refused (after {n}ms)") for n in range(20)),
        ("FAIL", "sasl_ssl://broker-1:9093: SASL authentication error"),
        ("MAXPOLL", "Application maximum poll interval (300000ms) exceeded by 12ms"),
    ]
    for facility, message in said:
        kafka_logger().error("%s [%s] %s", facility, "rdkafka#consumer-1", message)
    events = [line["event"] for line in lines()]
    assert len(events) == 7
    assert [any(kind in event for event in events) for kind in ("refused", "SASL", "MAXPOLL")] == [True] * 3
