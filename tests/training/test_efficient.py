"""Parameter-efficient methods: few weights train, they learn, and save -> load -> same logits, the head included."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel
from typer.testing import CliRunner

from tests.training.rows import make_rows
from training import model as models
from training.batches import Batch, collate, encode
from training.cli import app
from training.data import Row, write_rows
from training.efficient.methods import METHODS, EfficientConfig, Method, trainable_share, wrap
from training.efficient.store import (
    Adapters,
    base_digest,
    load_efficient,
    load_with_base,
    merged,
    save_efficient,
)
from training.evaluate import logits_on
from training.finetune import FinetuneConfig, finetune
from training.model import Columns
from training.objective import cross_entropy, logits_of
from training.options import RecipeConfig
from training.runs import read_json
from training.train_config import TrainConfig
from training.trainer import Trainer
from worker.errors import UsageError

COLUMNS = Columns({"review": ("negative", "positive")})


@pytest.fixture(scope="module")
def base(base: Path, train_rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder that has learned something: with a random one that stays frozen there is nothing to adapt. No head."""
    config = FinetuneConfig(train=TrainConfig(epochs=12, lr=2e-3, precision="float32", tokens_per_batch=256))
    out = tmp_path_factory.mktemp("pretrained")
    finetune(str(base), train_rows, {}, out, config)
    model, tokenizer, _ = models.load(out / "model")
    encoder = tmp_path_factory.mktemp("encoder")
    model.bert.save_pretrained(encoder)
    tokenizer.save(str(encoder / "tokenizer.json"))
    return encoder


def fresh(base: Path) -> models.BertForSequenceClassification:
    return models.build(str(base), COLUMNS, head_dropout=0.0, seed=3)


def batch_of(base: Path, rows: list[Row]) -> Batch:
    return collate(encode(rows, models.load_tokenizer(base), COLUMNS, max_tokens=32), COLUMNS, pad_id=1)


def answers(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    model.eval()
    with torch.inference_mode():
        return logits_of(model, batch)


def trained(
    base: Path, method: Method, rows: list[Row], folder: Path
) -> tuple[PreTrainedModel, EfficientConfig, float, float]:
    config = EfficientConfig(method=method, rank=4, bottleneck=8, prefix_tokens=4, total_steps=150)
    model, hooks = wrap(fresh(base), config)
    batch = batch_of(base, rows[:64])
    before = float(cross_entropy()(model, batch).detach())
    settings = TrainConfig(epochs=10, lr=5e-3, precision="float32", tokens_per_batch=256)
    examples = encode(rows, models.load_tokenizer(base), COLUMNS, max_tokens=32)
    Trainer(model, COLUMNS, examples, cross_entropy(), settings, folder, pad_id=1, after_step=hooks).run()
    after = float(cross_entropy()(model, batch).detach())
    return model, config, before, after


@pytest.mark.parametrize("method", METHODS)
def test_few_weights_learn_and_come_back_from_disk_with_the_same_logits(
    base: Path, train_rows: list[Row], tmp_path: Path, method: Method
) -> None:
    model, config, before, after = trained(base, method, train_rows, tmp_path / "run")
    assert after < 0.8 * before
    few, every = trainable_share(model)
    assert 0 < few < every
    batch = batch_of(base, train_rows[:16])
    told = Adapters(config, base_digest(fresh(base)), COLUMNS)
    save_efficient(model, told, models.load_tokenizer(base), tmp_path / "saved")
    # Another seed: whatever the save forgot (the head above all) would be drawn anew and differ.
    other = models.build(str(base), COLUMNS, head_dropout=0.0, seed=99)
    loaded = load_efficient(other, tmp_path / "saved")
    assert torch.allclose(answers(loaded, batch), answers(model, batch), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_works_on_a_model_of_some_of_the_layers(
    base: Path, train_rows: list[Row], method: Method
) -> None:
    model = models.keep_layers(fresh(base), (1, 3))
    wrapped, _ = wrap(model, EfficientConfig(method=method, rank=4, total_steps=100))
    assert answers(wrapped, batch_of(base, train_rows[:4])).shape == (4, COLUMNS.width)


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_low_rank_weights_merge_into_a_plain_checkpoint(
    base: Path, train_rows: list[Row], tmp_path: Path, method: Method
) -> None:
    model, _, _, _ = trained(base, method, train_rows, tmp_path / "run")
    batch = batch_of(base, train_rows[:16])
    expected = answers(model, batch)
    plain = merged(model)
    assert isinstance(plain, models.BertForSequenceClassification)
    assert torch.allclose(answers(plain, batch), expected, atol=1e-4)
    assert plain.state_dict().keys() == fresh(base).state_dict().keys()


def test_fresh_adapters_change_nothing(base: Path, train_rows: list[Row]) -> None:
    batch = batch_of(base, train_rows[:16])
    plain = answers(fresh(base), batch)
    with_adapters, _ = wrap(fresh(base), EfficientConfig(method="adapters"))
    assert torch.allclose(answers(with_adapters, batch), plain, atol=1e-6)
    assert merged(with_adapters) is None


def test_a_folder_without_adapters_is_an_error(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no adapters"):
        load_efficient(fresh(base), tmp_path)


@pytest.mark.parametrize(
    "recipe",
    [
        RecipeConfig(efficient=EfficientConfig("lora"), label_smoothing=0.1),
        RecipeConfig(adversarial="fgm", r_drop=1.0),
        RecipeConfig(efficient=EfficientConfig("adapters"), r_drop=1.0),
        RecipeConfig(augment_copies=1, label_smoothing=0.1),
    ],
    ids=["lora and smoothing", "FGM and R-Drop", "adapters and R-Drop", "augmented"],
)
def test_recipes_combine_in_one_fine_tune(
    base: Path, train_rows: list[Row], other_rows: list[Row], tmp_path: Path, recipe: RecipeConfig
) -> None:
    config = FinetuneConfig(
        train=TrainConfig(epochs=1, lr=1e-3, precision="float32"), dropout=0.1, recipe=recipe, max_tokens=32
    )
    finetune(str(base), train_rows[:80], {"held out": other_rows}, tmp_path, config)
    servable = recipe.efficient is None or recipe.efficient.method != "adapters"
    assert (tmp_path / "model" / "model.safetensors").is_file() == servable
    assert (tmp_path / "adapters").is_dir() == (recipe.efficient is not None)


def test_adalora_needs_room_to_prune(base: Path) -> None:
    with pytest.raises(UsageError, match="20 steps or more"):
        wrap(fresh(base), EfficientConfig(method="adalora", total_steps=19))
    wrapped, hooks = wrap(fresh(base), EfficientConfig(method="adalora", rank=1, total_steps=20))
    assert len(hooks) == 1
    assert trainable_share(wrapped)[0] > 0


@pytest.mark.parametrize("method", ["lora", "adapters", "prefix"])
def test_adapters_are_scored_upon_their_base_and_no_other(
    base: Path, train_rows: list[Row], tmp_path: Path, method: Method
) -> None:
    config = FinetuneConfig(
        train=TrainConfig(epochs=1, lr=5e-3, precision="float32"),
        recipe=RecipeConfig(efficient=EfficientConfig(method)),
        layers=(0, 2),
        max_tokens=48,
    )
    run = tmp_path / "run"
    finetune(str(base), train_rows[:40], {"other": make_rows(30, seed=5)}, run, config)
    write_rows(tmp_path / "other.jsonl", make_rows(30, seed=5))
    command = ["evaluate", str(tmp_path / "other.jsonl"), "--model", str(run), "--out", str(tmp_path / "out")]
    runner = CliRunner()
    # The run of low-rank weights has a `model` beside its `adapters`; with --base the latter are meant.
    result = runner.invoke(app, [*command, "--base", str(base)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = read_json(tmp_path / "out" / "scores.json")["sets"]["other"]["accuracy"]
    assert found == read_json(run / "before_after.json")["after"]["accuracy"]
    told = read_json(tmp_path / "out" / "run.json")
    assert told["options"]["max_tokens"] == 48
    assert "efficient.json" in told["inputs"]
    shutil.rmtree(run / "model", ignore_errors=True)
    with pytest.raises(UsageError, match="nothing without their base"):
        runner.invoke(app, command, catch_exceptions=False)
    other = fresh(base)
    with torch.no_grad():
        other.bert.encoder.layer[2].get_submodule("output.dense").weight[0, 0] += 1
    models.save(other, models.load_tokenizer(base), COLUMNS, tmp_path / "other")
    with pytest.raises(UsageError, match="another base checkpoint"):
        load_with_base(str(tmp_path / "other"), run / "adapters")


def test_a_prefix_takes_positions_from_the_texts_that_are_scored_too(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    config = FinetuneConfig(
        train=TrainConfig(epochs=0.2, precision="float32"),
        recipe=RecipeConfig(efficient=EfficientConfig("prefix")),
        max_tokens=32,
    )
    finetune(str(base), train_rows[:40], {}, tmp_path / "run", config)
    model, tokenizer, columns = load_with_base(str(base), tmp_path / "run")
    long = [Row("手机 " * 80, "positive")]
    with pytest.raises(UsageError, match="of which a prefix takes 16") as error:
        logits_on(model, tokenizer, columns, long, max_tokens=49)
    assert "--max-tokens 48" in str(error.value.hint)
    assert logits_on(model, tokenizer, columns, long, max_tokens=48).shape == (1, 2)
