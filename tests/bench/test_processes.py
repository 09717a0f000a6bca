"""The bench's children are ours, whatever the current folder holds."""

import os
import time
from pathlib import Path

import pytest

from worker import __version__
from worker.bench import processes


@pytest.fixture
def _foreign_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of somebody's with a `worker` and a `json` of its own."""
    for package in ("worker", "json"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_foreign_folder")
def test_the_worker_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "WORKER", ("worker.cli", "--version"))
    log = tmp_path / "worker.log"
    with processes.WorkerProcess(os.environ, log):
        deadline = time.monotonic() + 30
        while not log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert log.read_text() == f"tagline {__version__}\n"


@pytest.mark.usefixtures("_foreign_folder")
def test_a_measurement_is_made_by_the_module_that_was_meant() -> None:
    assert processes.measure(["json.tool"], {"texts": 1}, os.environ) == {"texts": 1}
