"""Logs: one line per event on stderr, JSON in production, without users' text and without forged lines.

Everything that logs in the process comes through here: our own modules (structlog), librdkafka and other libraries (the
standard logging module, bridged). A field that could carry a user's text is dropped by its name, `bytes` by their type,
and the message of an exception unless it is of a kind that is known to carry none.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import Processor

from worker.errors import SPEAKING_ERRORS
from worker.settings import TelemetrySettings
from worker.telemetry.log_limits import RateLimit, printable

KAFKA_LOGGER = "librdkafka"
"""Standard logger to give to Kafka's clients (``Consumer(..., logger=kafka_logger())``)."""

TEXT_KEYS = frozenset(
    {
        "text", "texts", "title", "review", "body", "description", "value", "values", "key", "keys", "payload", "data",
        "record", "records", "headers", "raw", "original", "content", "config", "settings", "environ",
        "password", "secret", "token", "url", "username", "sasl_password", "reviewer_id", "customer_id", "user_id",
    }
)  # fmt: skip
"""Names of fields that may hold a user's text, a key or a secret: never logged, whatever they hold."""

_CHARACTERS = 500
"""Longest value in a log line."""
_ITEMS = 50
"""Most items of a list or fields of a mapping in a log line."""

_NUMBER = re.compile(r"\d+")

EventDict = MutableMapping[str, Any]


def configure_logs(settings: TelemetrySettings, stream: TextIO | None = None) -> None:
    """Send all logs of the process to `stream` (stderr when not given). Call once, before anything logs; any thread."""
    target = sys.stderr if stream is None else stream
    terminal = target.isatty()
    console = settings.log_format == "console" or (settings.log_format == "auto" and terminal)
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=_processors(console=console, colours=terminal),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Factory(target),
        cache_logger_on_first_use=False,  # modules make their loggers before this is called
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(max(level, logging.WARNING))  # other libraries: only what is wrong
    logging.getLogger(KAFKA_LOGGER).setLevel(level)
    logging.captureWarnings(capture=True)


def kafka_logger() -> logging.Logger:
    """The logger for Kafka's clients. It writes on the thread that polls the client."""
    return logging.getLogger(KAFKA_LOGGER)


def _processors(*, console: bool, colours: bool) -> list[Processor]:
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        RateLimit(),
        describe_exception,
        drop_user_text,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if console:
        return [*shared, structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=0, pad_level=False)]
    return [*shared, _render_json]


def describe_exception(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace ``exc_info`` by the exception's type, the frames it came through and, where it is safe, its message."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if not isinstance(error, BaseException):
        return event
    event["error"] = type(error).__name__
    if isinstance(error, SPEAKING_ERRORS):
        event["reason"] = str(error)
    frames = traceback.extract_tb(error.__traceback__)
    event["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-10:]]
    return event


def drop_user_text(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Leave out what may be a user's text, and make the rest printable on one line and bounded in length."""
    return {printable(key, 100): _safe(value) for key, value in event.items() if _may_be_logged(key, value)}


def _may_be_logged(key: str, value: object) -> bool:
    """Numbers of things may be logged under any name but an identity's."""
    return key not in TEXT_KEYS or (isinstance(value, int | float) and not key.endswith("_id"))


def _safe(value: Any, depth: int = 0) -> Any:
    if isinstance(value, int) and value.bit_length() > 63:
        return f"<{value.bit_length()} bits>"  # JSON readers differ on these, and orjson refuses them
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return printable(value, _CHARACTERS)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, BaseException):
        said = f": {value}" if isinstance(value, SPEAKING_ERRORS) else ""
        return printable(type(value).__name__ + said, _CHARACTERS)
    if depth < 2:
        if isinstance(value, dict):
            kept = [(str(key), item) for key, item in value.items() if _may_be_logged(str(key), item)][
                :_ITEMS
            ]
            return {printable(key, 100): _safe(item, depth + 1) for key, item in kept}
        if isinstance(value, list | tuple | set | frozenset):
            return [_safe(item, depth + 1) for item in list(value)[:_ITEMS]]
    return f"<{type(value).__name__}>"


def _render_json(_logger: object, _method: str, event: EventDict) -> str:
    return orjson.dumps(dict(event), default=repr).decode("utf-8")


class _Bridge(logging.Handler):
    """Hands records of the standard logging module to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log it; never raises."""
        try:
            fields = {} if record.exc_info is None else {"exc_info": record.exc_info}
            message = record.getMessage()
            # Not by the format: confluent-kafka logs whatever librdkafka says by one, and a flood of one kind hid the others.
            same = _NUMBER.sub("#", message[:_CHARACTERS])
            structlog.get_logger().log(record.levelno, message, logger=record.name, rate_key=same, **fields)
        except Exception:  # noqa: BLE001 - a log line is never worth an exception in the code that logs
            self.handleError(record)


class _Factory:
    """Makes structlog's innermost logger: it writes lines to one stream and survives the stream's end."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = _Writer(stream)

    def __call__(self, *_names: object) -> "_Writer":
        return self._writer


class _Writer:
    """One write per line, so that lines of several threads do not mix. A closed or full stream loses the line only."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write a line; never raises."""
        try:
            self._stream.write(line.encode("utf-8", "replace").decode("utf-8") + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = log = fatal = exception = warn = failure = msg
