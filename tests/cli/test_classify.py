"""``tagline classify`` and ``tagline model``, as a user runs them."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.classify.checkpoints import tiny_bert, write_bundle, write_checkpoint
from worker.cli import main
from worker.errors import ExitCode


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAGLINE_MODEL_DEVICE", "cpu")
    monkeypatch.setenv("TAGLINE_MODEL_PRECISION", "float32")
    return write_bundle(tiny_bert(), tmp_path / "bundle")


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_text_gets_one_line_of_json(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "w1 w2", "w3", "--bundle", str(bundle), "--json"]) == ExitCode.OK
    first, second = rows(capsys)
    assert list(first) == ["index", "label", "score", "probabilities", "confidence", "truncated"]
    assert (first["index"], second["index"]) == (0, 1)
    assert first["label"] in {"negative", "neutral", "positive"}
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=3e-6)
    assert first["confidence"] == max(first["probabilities"].values())


def test_lines_of_stdin_that_are_broken_do_not_stop_the_rest(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = b"w1\n\xff\xfe\n\n\xe2\x80\x8b\n" + b"w2 " * 500 + b"\r\nw1"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert main(["classify", "--bundle", str(bundle), "--json"]) == ExitCode.OK
    found = rows(capsys)
    assert [row.get("error") for row in found] == [None, "not_utf8", "empty_text", "empty_text", None, None]
    assert found[4]["truncated"] is True
    assert found[5]["probabilities"] == found[0]["probabilities"]


@pytest.mark.parametrize(("arguments", "told"), [([], True), (["w1"], False)])
def test_somebody_at_a_terminal_is_told_that_it_waits_for_text(
    arguments: list[str],
    told: bool,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(io.BytesIO(b"w1\n")))
    assert main(["classify", *arguments, "--bundle", str(bundle), "--json"]) == ExitCode.OK
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    assert ("one a line; Ctrl-D ends" in shown.err) is told


def test_a_kind_chooses_its_columns(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("title", "review"):
        assert main(["classify", "w1", "--kind", kind, "--bundle", str(bundle), "--json"]) == ExitCode.OK
    title, review = rows(capsys)
    assert title["probabilities"] != review["probabilities"]


def test_the_table_is_for_people(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "w1", "", "--bundle", str(bundle)]) == ExitCode.OK
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[0] == "0"
    assert "empty_text" in second


def test_a_bundle_that_is_damaged_ends_with_its_exit_code(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "tokenizer.json").write_text("{}")
    assert main(["classify", "w1", "--bundle", str(bundle)]) == ExitCode.MODEL
    assert main(["model", "info", str(bundle)]) == ExitCode.MODEL
    assert "SHA-256 differs" in capsys.readouterr().err


def test_info_and_verify_describe_the_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "info", str(bundle), "--json"]) == ExitCode.OK
    info = json.loads(capsys.readouterr().out)
    assert (info["name"], info["layers"], set(info["kinds"])) == ("tiny", 2, {"review", "title"})
    assert main(["model", "verify", str(bundle), "--json"]) == ExitCode.OK
    verified = json.loads(capsys.readouterr().out)
    assert (verified["verified"], verified["packed"], verified["precision"]) == (True, True, "float32")
    assert verified["digest"] == info["digest"]
    assert verified["machine"].startswith("cpu-")


def test_a_person_is_shown_the_headlines_of_an_evaluation_and_a_script_all_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["model", "info"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert re.search(r"^  chn +rows 1200, accuracy 0\.\d+, macro_f1 0\.\d+", text, re.MULTILINE)
    assert re.search(r"^  other_label +0\.00\d+$", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) < 200
    assert "--json" in text

    assert main(["model", "info", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert "confusion" in told["evaluation"]["sets"]["chn"]
    assert told["int8"]["texts"] >= 1_000


def test_an_imported_checkpoint_classifies(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_checkpoint(tiny_bert(2), tmp_path / "checkpoint")
    made = tmp_path / "made"
    arguments = [
        "model",
        "import",
        str(checkpoint),
        "--to",
        str(made),
        "--name",
        "mine",
        "--labels",
        "negative,positive",
    ]
    assert main([*arguments, "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    assert main(["classify", "w1", "--bundle", str(made), "--json"]) == ExitCode.OK
    assert rows(capsys)[0]["index"] == 0
    assert main(arguments) == ExitCode.USAGE, "a bundle is never overwritten"
