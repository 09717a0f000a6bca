"""What a fine-tune starts from, and what it leaves of it."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.commands import tagline_train
from tests.training.rows import make_rows
from training import finetune as finetuning
from training import model as models
from training.data import write_rows
from training.efficient.methods import EfficientConfig
from training.finetune import FinetuneConfig, finetune
from training.model import Columns
from training.options import RecipeConfig
from training.runs import read_json
from training.train_config import TrainConfig
from worker.errors import UsageError

QUICK = TrainConfig(epochs=0.2, lr=2e-3, tokens_per_batch=1_024, precision="float32", seed=3)


def test_a_command_without_options_trains_as_the_configuration_without_any(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both tell their defaults, since a command must not import torch to show its help."""
    asked = []

    def stop(*arguments: object, **_: object) -> None:
        asked.append(arguments[4])
        raise UsageError("seen")

    monkeypatch.setattr(finetuning, "finetune", stop)
    write_rows(tmp_path / "mine.jsonl", make_rows(20, seed=1))
    with pytest.raises(UsageError, match="seen"):
        tagline_train("finetune", tmp_path / "mine.jsonl", "--base", base, "--out", tmp_path / "run")
    assert asked == [FinetuneConfig()]


def test_a_base_keeps_the_kinds_and_labels_that_the_rows_lack(base: Path, tmp_path: Path) -> None:
    columns = Columns(
        {"review": ("negative", "neutral", "positive"), "title": ("negative", "neutral", "positive")}
    )
    trained = models.build(str(base), columns, seed=1)
    models.save(trained, models.load_tokenizer(base), columns, tmp_path / "trained")
    config = FinetuneConfig(train=QUICK, max_tokens=32)
    finetune(str(tmp_path / "trained"), make_rows(20, seed=1), {}, tmp_path / "run", config)
    model, _, kept = models.load(tmp_path / "run")
    assert kept == columns
    moved = (model.classifier.weight - trained.classifier.weight).abs().max()
    assert moved < 0.01  # none was drawn anew


def test_the_dropout_before_the_head_is_an_option_that_the_run_tells(base: Path, tmp_path: Path) -> None:
    config = FinetuneConfig(train=QUICK, max_tokens=32, head_dropout=0.3)
    finetune(str(base), make_rows(20, seed=1), {}, tmp_path, config)
    assert models.load(tmp_path)[0].config.classifier_dropout == 0.3
    assert read_json(tmp_path / "run.json")["options"]["config"]["head_dropout"] == 0.3


def test_a_run_tells_the_sizes_of_its_recipes_and_what_its_labels_were_said_to_mean(
    base: Path, tmp_path: Path
) -> None:
    recipe = RecipeConfig(adversarial="pgd", augment_copies=1)
    config = FinetuneConfig(train=QUICK, max_tokens=32, recipe=recipe)
    finetune(str(base), make_rows(20, seed=1), {}, tmp_path, config, meanings={"5": "positive"})
    options = read_json(tmp_path / "run.json")["options"]
    assert options["labels"] == {"5": "positive"}
    assert options["sizes"]["adversarial"] == {"radius": 0.5, "step_length": 0.25, "steps": 3}
    assert options["sizes"]["augmentation"]["swap_share"] == 0.05


def test_a_layer_that_is_named_twice_is_refused(base: Path, tmp_path: Path) -> None:
    config = FinetuneConfig(train=QUICK, max_tokens=32, layers=(1, 3, 3))
    with pytest.raises(UsageError, match=r"layers .* once each"):
        finetune(str(base), make_rows(20, seed=1), {}, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "only_the_head", [{"freezing": "head"}, {"recipe": RecipeConfig(efficient=EfficientConfig("prefix"))}]
)
def test_slower_layers_are_refused_where_no_layer_trains(only_the_head: dict[str, Any]) -> None:
    FinetuneConfig(train=replace(QUICK, layer_decay=0.9), freezing="top", top_layers=1)
    with pytest.raises(UsageError, match="--layer-decay") as error:
        FinetuneConfig(train=replace(QUICK, layer_decay=0.9), **only_the_head)
    assert error.value.hint


def test_a_validation_set_that_has_the_name_of_a_score_is_refused(base: Path, tmp_path: Path) -> None:
    rows, config = make_rows(20, seed=1), FinetuneConfig(train=QUICK, max_tokens=32)
    with pytest.raises(UsageError, match="cannot be called `macro_f1`"):
        finetune(str(base), rows, {"macro_f1": make_rows(5, seed=2)}, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("rate", "epochs", "held_out"),
    [
        (math.inf, 0.01, True),
        (math.inf, 0.01, False),  # nobody asks for a loss after the one step
        (math.inf, 3, False),
        (1e38, 0.01, True),  # its weights are numbers, and its answers are none
        (1e38, 3, False),
    ],
)
def test_a_rate_that_leaves_no_numbers_is_told_and_leaves_no_model(
    base: Path, tmp_path: Path, rate: float, epochs: float, held_out: bool
) -> None:
    sets = {"other": make_rows(20, seed=2)} if held_out else {}
    config = FinetuneConfig(train=replace(QUICK, lr=rate, epochs=epochs), max_tokens=32)
    with pytest.raises(UsageError, match=r"the loss is|(are|is) no numbers") as error:
        finetune(str(base), make_rows(100, seed=1), sets, tmp_path / "run", config)
    assert error.value.hint == "lower --lr"
    assert not (tmp_path / "run" / "model").exists()
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
