"""The table over the recipes: real runs of the command, in this process to be quick."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.commands import tagline_train
from tests.training.rows import make_rows
from training import model as models
from training.cli import app
from training.data import write_rows
from training.recipes.table import PLAIN, RECIPES, ensembles, folder_of, render, run_recipes
from training.runs import read_json
from worker.errors import UsageError

runs: list[Sequence[str]] = []


def _here(arguments: Sequence[str]) -> None:
    runs.append(arguments)
    tagline_train("finetune", *arguments)


def test_recipes_are_trained_and_scored_side_by_side(base: Path, tmp_path: Path) -> None:
    runs.clear()
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    write_rows(train, make_rows(120, seed=1))
    rows = [row for row in make_rows(90, seed=2) if row not in make_rows(120, seed=1)]
    write_rows(test, rows)
    common = [str(train), "--base", str(base), "--epochs", "2", "--lr", "2e-3", "--max-tokens", "32"]
    common += ["--batch-tokens", "64"]  # AdaLoRA needs some steps
    names = [PLAIN, "LoRA, rank 8", "AdaLoRA, rank 8"]
    lines = run_recipes(names, common, test, tmp_path / "runs", seeds=2, run=_here)
    lines += ensembles(tmp_path / "runs", rows, seeds=2, max_tokens=32)
    assert [line.name for line in lines[:3]] == names
    assert len(lines) == 5
    assert lines[0].trainable > 4 * lines[1].trainable > 0
    assert all(0.3 < accuracy <= 1 for line in lines for accuracy in line.accuracies)
    assert render(lines).count("\n") == 7
    assert " MiB |" in render(lines)
    # AdaLoRA prunes by the true length of the run.
    run = folder_of(tmp_path / "runs", "AdaLoRA, rank 8", 0)
    assert (
        read_json(run / "adapters" / "adapter_config.json")["total_step"]
        == read_json(run / "cost.json")["steps"]
    )
    # Finished runs are not repeated.
    assert len(runs) == 6
    again = run_recipes(names, common, test, tmp_path / "runs", seeds=2, run=_here)
    assert len(runs) == 6
    assert again == lines[:3]
    # Others are not taken for them.
    longer = [*common, "--epochs", "3"]
    with pytest.raises(UsageError, match=r"differs in --epochs$"):
        run_recipes(names, longer, test, tmp_path / "runs", seeds=2, run=_here)
    with pytest.raises(UsageError, match=r"differs in --layers$"):
        run_recipes(names, [*common, "--layers", "0,1"], test, tmp_path / "runs", seeds=2, run=_here)
    other = tmp_path / base.name  # of the same name
    model = models.build(str(base), models.Columns({"review": ("negative", "positive")}), seed=5)
    models.save(model, models.load_tokenizer(base), models.Columns({}), other)
    with pytest.raises(UsageError, match=r"differs in --base$"):
        run_recipes(names, [*common, "--base", str(other)], test, tmp_path / "runs", seeds=2, run=_here)
    write_rows(train, make_rows(121, seed=1))
    with pytest.raises(UsageError, match=r"differs in the files$"):
        run_recipes(names, common, test, tmp_path / "runs", seeds=2, run=_here)
    # A run that was cut off before its last file goes on.
    write_rows(train, make_rows(120, seed=1))
    (folder_of(tmp_path / "runs", PLAIN, 0) / "cost.json").unlink()
    run_recipes(names, common, test, tmp_path / "runs", seeds=2, run=_here)
    assert len(runs) == 7


def test_an_unknown_recipe_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown recipes: magic"):
        run_recipes(["magic"], [], tmp_path / "test.jsonl", tmp_path, seeds=1)


def test_every_recipe_is_made_of_known_options() -> None:
    known = CliRunner().invoke(app, ["finetune", "--help"], env={"COLUMNS": "300"}).output
    for options in RECIPES.values():
        assert all(option in known for option in options if option.startswith("--"))
