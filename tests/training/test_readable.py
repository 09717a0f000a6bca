"""Checkpoints with damaged files, and folders that may not be looked into: told by name, before anything is written."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.rows import make_rows
from training import checkpoint
from training import model as models
from training.cli import app
from training.data import write_rows
from training.model import Columns
from training.runs import read_json, write_json
from worker.errors import UsageError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 439101\n"


def _refused(*arguments: object) -> UsageError:
    with pytest.raises(UsageError) as error:
        CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert error.value.hint
    return error.value


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("content", [POINTER, b""])
def test_a_base_of_which_a_file_is_a_pointer_is_refused(
    base: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    shutil.copytree(base, tmp_path / "base")
    (tmp_path / "base" / name).write_bytes(content)
    write_rows(tmp_path / "mine.jsonl", make_rows(20, seed=1))
    for command in (
        ("finetune", tmp_path / "mine.jsonl", "--base"),
        ("pretrain", tmp_path / "mine.jsonl", "--base"),
        ("prune", tmp_path / "mine.jsonl", "--pieces", 50, "--model"),
    ):
        error = _refused(*command, tmp_path / "base", "--out", tmp_path / "run")
        assert "cannot be read: " in error.message
        assert not (tmp_path / "run").exists()


def test_weights_of_another_encoder_than_the_configuration_names_are_refused(
    base: Path, tmp_path: Path
) -> None:
    shutil.copytree(base, tmp_path / "base")
    config = read_json(base / "config.json")
    write_rows(tmp_path / "mine.jsonl", make_rows(20, seed=1))
    for change in ({"num_hidden_layers": 5}, {"intermediate_size": 65}):
        write_json(tmp_path / "base" / "config.json", config | change)
        for command in ("finetune", "pretrain"):
            error = _refused(
                command, tmp_path / "mine.jsonl", "--base", tmp_path / "base", "--out", tmp_path / "run"
            )
            assert "lacks" in error.message or "cannot be read" in error.message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "columns.json", "length.json"]
)
def test_half_of_a_trained_model_is_refused(base: Path, tmp_path: Path, name: str) -> None:
    columns = Columns({"review": ("negative", "positive")})
    models.save(models.build(str(base), columns), models.load_tokenizer(base), columns, tmp_path / "model")
    write_json(tmp_path / "model" / "length.json", {"max_tokens": 32})
    whole = (tmp_path / "model" / name).read_bytes()
    (tmp_path / "model" / name).write_bytes(whole[: len(whole) // 2])
    write_rows(tmp_path / "mine.jsonl", make_rows(20, seed=1))
    error = _refused(
        "evaluate", tmp_path / "mine.jsonl", "--model", tmp_path / "model", "--out", tmp_path / "scores"
    )
    assert "cannot be read: " in error.message
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("part", [slice(0, -9), slice(0, 0)])
def test_half_of_a_checkpoint_is_refused_and_left_alone(tmp_path: Path, part: slice) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save({"identity": {}}, path)
    damaged = path.read_bytes()[part]
    path.write_bytes(damaged)
    with pytest.raises(UsageError, match=r"checkpoint\.pt cannot be read: ") as error:
        checkpoint.load(path, {})
    assert "remove it" in str(error.value.hint)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "command",
    [
        "compare locked/scores",
        "report locked/bundle --sets mine.jsonl --out out",
        "robustness locked/bundle --sets mine.jsonl",
        "attribute locked/bundle fine",
        "titles --model locked/bundle",
        "evaluate mine.jsonl --model locked/run --out out",
        "evaluate locked/mine.jsonl --model run --out out",
        "export --model locked/run --name mine --out out",
        "unpack locked/bundle --out out",
        "forms mine.jsonl --calibration other.jsonl --model locked/run",
        "prune mine.jsonl --model locked/base --pieces 60 --out out",
        "finetune mine.jsonl --base locked/base --out out",
        "distil mine.jsonl --teacher locked/run --layers 1 --out out",
        "bundle mine.jsonl --base locked/bundle --out out",
    ],
)
def test_what_this_user_may_not_look_at_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("mine.jsonl"), make_rows(40, seed=1))
    write_rows(Path("other.jsonl"), make_rows(40, seed=2))
    look = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if "locked" in path.parts:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    for name in ("exists", "isfile", "isdir"):  # as Python 3.14's, which hide every refusal
        own = name if name == "exists" else f"is_{name.removeprefix('is')}"
        monkeypatch.setattr(Path, own, getattr(os.path, name))
    with pytest.raises(PermissionError, match="locked/"):
        CliRunner().invoke(app, command.split(), catch_exceptions=False)
    assert not Path("out").exists()
