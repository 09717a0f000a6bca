"""`tagline doctor` where there is nothing to examine yet."""

import json

import pytest

from worker.cli import main
from worker.errors import ExitCode


def test_wrong_settings_are_a_finding_for_scripts_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAGLINE_WINDOW_MAX_RECORDS", "many")
    assert main(["doctor", "--json"]) == ExitCode.USAGE
    report = json.loads(capsys.readouterr().out)
    (finding,) = report["findings"]
    assert (report["exit_code"], finding["check"], finding["level"]) == (2, "settings", "failed")
    assert "window.max_records" in finding["detail"]

    assert main(["doctor"]) == ExitCode.USAGE
    assert capsys.readouterr().err.startswith("error: window.max_records")
