"""The demo as a newcomer runs it, on a broker where others have left events behind."""

import re
from pathlib import Path

import pytest

from worker.cli import main
from worker.contracts.topics import TOPICS
from worker.errors import ExitCode
from worker.local.feeding import send
from worker.settings import load
from worker.stream.admin import create
from worker.stream.config import admin_config, open_admin


@pytest.mark.integration
@pytest.mark.usefixtures("redis_url")
def test_every_event_of_the_demo_comes_out_and_nobody_elses_is_counted(
    bootstrap: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGLINE_LOCAL_DIR", str(tmp_path))
    settings = load({"kafka.bootstrap_servers": bootstrap})
    with open_admin(admin_config(settings)) as admin:
        create(admin, TOPICS)
    send(settings, rate_per_s=10_000, count=300, seed=1, progress=lambda _: None)
    # Signals of the terminal are the demo's to handle, and this process is pytest's.
    monkeypatch.setattr("signal.signal", lambda *_: None)

    assert main(["demo", "--seconds", "3", "--rate", "20"]) == ExitCode.OK

    shown = capfd.readouterr().out
    fed, tagged = (int(found) for found in re.findall(r"^(?:fed|tagged) +(\d+)", shown, re.MULTILINE))
    assert 20 <= fed < 300
    assert 0 < tagged <= fed
    assert "every event" in shown
