"""What `tagline run` says when it ends badly."""

import json
from typing import Any

import pytest

from worker.cli import main
from worker.errors import DataError, ExitCode
from worker.pipeline import service
from worker.pipeline.stop import StopSignal


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (DataError("the topic is gone", hint="make it"), ExitCode.DATA, "the topic is gone"),
        (ValueError("which a user wrote"), ExitCode.BUG, None),
    ],
)
def test_the_reason_of_a_bad_end_is_an_event_of_the_log_too(
    error: Exception,
    code: ExitCode,
    reason: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def serve(*_: Any) -> None:
        raise error

    monkeypatch.setattr(service, "serve", serve)
    monkeypatch.setattr(StopSignal, "install", lambda _: None)  # signals are pytest's
    monkeypatch.setenv("TAGLINE_TELEMETRY_LOG_FORMAT", "json")

    assert main(["run"]) == code

    event = json.loads(capsys.readouterr().err.splitlines()[0])
    assert event["event"].startswith("worker ended")
    assert (event["level"], event["error"], event["exit_code"]) == ("error", type(error).__name__, code)
    assert event.get("reason") == reason
