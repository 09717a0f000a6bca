import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.rows import make_rows
from training.cli import app
from training.data import read_rows, write_rows
from training.runs import read_json

runner = CliRunner()


def _run(*arguments: object) -> str:
    result = runner.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_from_a_file_of_labels_to_a_bundle(base: Path, tmp_path: Path) -> None:
    rows = make_rows(200, seed=1)
    write_rows(tmp_path / "mine.jsonl", [*rows, *rows[:3]])
    splits = tmp_path / "splits"
    assert "copies_dropped: 3" in _run(
        "prepare", tmp_path / "mine.jsonl", "--out", splits, "--test-share", 0.2
    )
    train, validation, test = (splits / f"{name}.jsonl.gz" for name in ("train", "validation", "test"))
    run = tmp_path / "run"
    _run(
        "finetune", train, "--base", base, "--out", run, "--validation", validation, "--epochs", 3, "--lr", 0.002,
        "--batch-tokens", 256, "--max-tokens", 32, "--precision", "float32",
    )  # fmt: skip
    assert read_json(run / "run.json")["inputs"].keys() == {"train.jsonl.gz", "validation.jsonl.gz"}
    bundle = tmp_path / "bundle"
    _run(
        "export",
        "--model",
        run / "model",
        "--out",
        bundle,
        "--name",
        "mine",
        "--validation",
        validation,
        "--max-tokens",
        32,
    )
    assert read_json(bundle / "bundle.json")["kinds"]["review"]["temperature"] != 1.0
    table = _run("evaluate", test, "--model", bundle, "--out", tmp_path / "scores", "--train", train)
    assert table == _run("compare", tmp_path / "scores")
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())["sets"]["test"]
    assert scores["rows"] == len(read_rows(test))
    assert {"majority", "linear", "categories", "confusion"} <= scores.keys()
    small = tmp_path / "small"
    _run(
        "distil", train, "--teacher", run / "model", "--layers", "1,3", "--out", small, "--epochs", 1,
        "--batch-tokens", 256, "--max-tokens", 32,
    )  # fmt: skip
    assert "mean relative error" in _run(
        "quantise", "--model", small / "model", "--out", tmp_path / "rounded"
    )


def test_finetuning_goes_on_from_further_pretraining(base: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "texts.jsonl", make_rows(60, seed=1))
    _run(
        "pretrain", tmp_path / "texts.jsonl", "--base", base, "--out", tmp_path / "pre", "--batch-tokens", 256
    )
    _run(
        "finetune", tmp_path / "texts.jsonl", "--base", tmp_path / "pre" / "model", "--out", tmp_path / "run",
        "--epochs", 0.5, "--batch-tokens", 256,
    )  # fmt: skip
    assert (tmp_path / "run" / "model" / "columns.json").is_file()


def test_an_unknown_option_is_an_error() -> None:
    result = runner.invoke(app, ["finetune", "x.jsonl", "--base", "b", "--out", "o", "--learning-speed", "3"])
    assert result.exit_code == 2


def test_finetuning_refuses_a_leak(base: Path, tmp_path: Path) -> None:
    from training.prepare import LeakError

    write_rows(tmp_path / "a.jsonl", make_rows(20, seed=1))
    write_rows(tmp_path / "b.jsonl", make_rows(20, seed=1)[:1])
    with pytest.raises(LeakError):
        _run(
            "finetune",
            tmp_path / "a.jsonl",
            "--base",
            base,
            "--out",
            tmp_path,
            "--validation",
            tmp_path / "b.jsonl",
        )
