"""The file of `tagline bench`: refused before anything is measured, written after everything is shown."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from worker.bench import session
from worker.bench.session import Findings
from worker.cli import bench as command
from worker.cli import main
from worker.errors import ExitCode
from worker.local import stack
from worker.local.interrupts import ENDING


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The plans of the runs that were made; each finds nothing, at once."""
    made: list[Any] = []

    def run(plan: Any, **_: Any) -> Findings:
        made.append(plan)
        return Findings([], {})

    monkeypatch.setattr(session, "run", run)
    return made


def test_a_file_that_cannot_be_written_is_refused_before_the_run(
    runs: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--json", str(tmp_path / "nowhere" / "bench.json")]) == ExitCode.USAGE
    assert "bench.json cannot be written: No such file" in capsys.readouterr().err
    assert runs == []


def test_an_earlier_report_stays_until_there_is_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> Findings:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "run", interrupted)
    file = tmp_path / "bench.json"
    file.write_text("earlier")
    assert main(["bench", "--json", str(file)]) == ExitCode.KILLED
    assert file.read_text() == "earlier"

    fresh = tmp_path / "fresh.json"
    assert main(["bench", "--json", str(fresh)]) == ExitCode.KILLED
    assert not fresh.exists(), "an empty file is no report"


def test_what_was_measured_is_in_the_file_even_if_nobody_reads_the_table(
    runs: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(command, "console", gone)
    main(["bench", "--json", str(tmp_path / "bench.json")])
    assert len(runs) == 1
    assert json.loads((tmp_path / "bench.json").read_text())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_what_was_measured_is_shown_even_if_the_file_cannot_take_it(
    runs: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--json", "/dev/full"]) == ExitCode.DEPENDENCY
    shown = capsys.readouterr()
    assert len(runs) == 1
    assert "medians of" in shown.out
    assert "error: No space left on device" in shown.err


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.usefixtures("signals_are_heard")
def test_any_signal_ends_it_with_its_own_stack_stopped(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []

    class Pretence:
        def __init__(self, _folder: Path) -> None:
            pass

        def up(self, _progress: Any) -> None:
            signal.raise_signal(number)

        def down(self, progress: Any) -> None:
            progress("stopping")
            for later in ENDING:
                signal.raise_signal(later)
            stopped.append("stack")

    monkeypatch.delenv(stack.KAFKA_VARIABLE, raising=False)
    monkeypatch.setattr(stack, "Stack", Pretence)
    assert main(["bench", "--quick"]) == ExitCode.KILLED
    assert stopped == ["stack"]
