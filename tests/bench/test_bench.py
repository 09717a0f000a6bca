"""The whole bench on the real stack with tiny numbers: every measurement runs and reports. Speed is nobody's claim here.

Its workers have the fake model, which spares a load of torch for each; the forwards are the real ones.
"""

from pathlib import Path

import orjson
import pytest

from tests.classify.precisions import CAN_INT8
from worker.bench import processes
from worker.bench.plan import MEASURES
from worker.cli import main
from worker.errors import ExitCode

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.integration
def test_every_measurement_runs_and_says_what_it_was_made_of(
    bootstrap: str,
    redis_url: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "WORKER", ("tests.integration.fake_worker", "--delay", "0.02"))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))  # where the fake is found; the real one is installed
    monkeypatch.setenv(
        "TAGLINE_WINDOW_MAX_RECORDS", "25"
    )  # so that a hundred texts are several micro-batches
    asked = "int8" if CAN_INT8 else "float32"
    monkeypatch.setenv("TAGLINE_MODEL_DEVICE", "cpu")
    monkeypatch.setenv("TAGLINE_MODEL_PRECISION", asked)
    written = tmp_path / "bench.json"

    code = main(["bench", "--quick", "--texts", "100", "--json", str(written)])

    assert code == ExitCode.OK
    shown = capfd.readouterr()
    assert "made of" in shown.out
    assert bootstrap in shown.err, "it says on which broker it writes"
    report = orjson.loads(written.read_bytes())
    assert set(report["results"]) == set(MEASURES)
    assert all(result["value"] > 0 for result in report["results"].values())
    assert report["model"]["precision"] == asked, "the user's settings are measured"
    assert report["results"]["b"]["precision"] == "float32", "packing alone is compared"
    assert report["texts"]["texts"] == 100
    assert report["machine"]["cpu"]
    assert report["results"]["d"]["repetitions"][0]["reference_per_s"] > 0
