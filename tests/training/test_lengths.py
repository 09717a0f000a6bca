"""How long a text may be: what a model remembers of it, and what happens to a text that is longer than the encoder reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.training.commands import tagline_train
from tests.training.rows import make_rows
from training import attributions
from training import model as models
from training.attributions import attribute, attribute_folder
from training.data import Row, write_rows
from training.distil import DistilConfig, distil
from training.efficient.methods import EfficientConfig
from training.export import ExportConfig, export_bundle
from training.finetune import FinetuneConfig, finetune
from training.forms import measure_forms
from training.options import RecipeConfig
from training.pretrain import pretrain
from training.quantise import quantise_folder
from training.runs import max_tokens_of, read_json
from training.scorer import open_scorer
from training.titles.refit import refit_titles
from training.train_config import TrainConfig
from worker.errors import UsageError

POSITIONS = 64
"""Of the tiny encoder."""
QUICK = TrainConfig(epochs=0.2, lr=2e-3, tokens_per_batch=1_024, precision="float32", seed=3)
TITLES = [
    Row(f"{word} 手机 {number}", tone, "title")
    for number in range(4)
    for word, tone in (("二手", "negative"), ("爆款", "positive"), ("书", "neutral"))
]
LONG = [*make_rows(20, seed=1), Row("手机 " * 80, "positive")]


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lengths") / "run"
    finetune(
        str(base), [*make_rows(40, seed=1), *TITLES], {}, out, FinetuneConfig(train=QUICK, max_tokens=32)
    )
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle")
    export_bundle(run, out, ExportConfig("tiny", "1", 24, canaries=()))
    return out


@pytest.fixture
def cut_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length limits that texts to explain were cut at."""
    seen: list[int] = []
    stock = attributions.attribute

    def watch(*args: Any, max_tokens: int, **options: Any) -> Any:
        seen.append(max_tokens)
        return stock(*args, max_tokens=max_tokens, **options)

    monkeypatch.setattr(attributions, "attribute", watch)
    return seen


def test_a_model_and_what_is_made_from_it_remember_how_long_its_texts_were(run: Path, tmp_path: Path) -> None:
    refit_titles(run, TITLES, tmp_path / "refitted", max_tokens=16)
    quantise_folder(run, tmp_path / "rounded")
    config = DistilConfig(finetune=FinetuneConfig(train=QUICK, max_tokens=24, layers=(1, 3)))
    distil([run], make_rows(20, seed=2), {}, tmp_path / "student", config)
    for folder, length in (
        (run, 32),
        (run / "model", 32),
        (tmp_path / "refitted", 32),
        (tmp_path / "rounded", 32),
        (tmp_path / "student", 24),
    ):
        assert max_tokens_of(folder, None) == length
        assert max_tokens_of(folder, 17) == 17
    (tmp_path / "refitted" / "length.json").unlink()
    refit_titles(tmp_path / "refitted", TITLES, tmp_path / "again", max_tokens=16)
    assert not (tmp_path / "again" / "length.json").exists()
    assert max_tokens_of(tmp_path / "again", None) == 256


def test_every_command_scores_a_model_at_the_length_that_it_remembers(
    run: Path, bundle: Path, tmp_path: Path, cut_at: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for model, length in ((run, 32), (run / "model", 32), (bundle, 24)):
        assert open_scorer(model).details["tokens"] == str(length)
        tagline_train("attribute", model, "the hotel is awful", "--steps", 2)
        assert cut_at.pop() == length
    write_rows(tmp_path / "shop.jsonl", make_rows(30, seed=2))
    tagline_train("evaluate", tmp_path / "shop.jsonl", "--model", run, "--out", tmp_path / "scores")
    assert read_json(tmp_path / "scores" / "run.json")["options"]["max_tokens"] == 32
    assert "model.safetensors" in read_json(tmp_path / "scores" / "run.json")["inputs"]
    tagline_train("report", bundle, run, "--sets", tmp_path / "shop.jsonl", "--out", tmp_path / "report")
    page = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "| 24 |" in page
    assert "| 32 |" in page
    measured: list[int] = []

    def measure(*_: object, max_tokens: int, **__: object) -> list[object]:
        measured.append(max_tokens)
        return []

    monkeypatch.setattr("training.forms.measure_forms", measure)
    write_rows(tmp_path / "texts.jsonl", make_rows(10, seed=5))
    tagline_train("forms", tmp_path / "shop.jsonl", "--model", run, "--calibration", tmp_path / "texts.jsonl")
    assert measured == [32]


def test_a_bundle_is_not_read_at_another_length_than_its_own(bundle: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "shop.jsonl", make_rows(30, seed=2))
    shop, out = tmp_path / "shop.jsonl", tmp_path / "out"
    for command in (
        ("evaluate", shop, "--model", bundle, "--out", out),
        ("report", bundle, "--sets", shop, "--out", out),
        ("robustness", bundle, "--sets", shop),
        ("attribute", bundle, "the hotel is awful"),
        ("titles", "--model", bundle),
    ):
        with pytest.raises(UsageError, match="is a bundle, which reads as many tokens") as error:
            tagline_train(*command, "--max-tokens", 32)
        assert error.value.hint
    assert not out.exists()


def _pretrain(base: Path, _: Path, out: Path) -> None:
    pretrain(str(base), LONG, out, QUICK, max_tokens=POSITIONS + 1)


def _finetune(base: Path, _: Path, out: Path) -> None:
    finetune(str(base), LONG, {}, out, FinetuneConfig(train=QUICK, max_tokens=POSITIONS + 1))


def _validate(base: Path, _: Path, out: Path) -> None:
    config = FinetuneConfig(train=QUICK, max_tokens=POSITIONS + 1)
    finetune(str(base), LONG[:-1], {"long": LONG}, out, config)


def _prefix(base: Path, _: Path, out: Path) -> None:
    recipe = RecipeConfig(efficient=EfficientConfig("prefix", prefix_tokens=16))
    finetune(str(base), LONG, {}, out, FinetuneConfig(train=QUICK, max_tokens=50, recipe=recipe))


def _distil(_: Path, run: Path, out: Path) -> None:
    config = DistilConfig(finetune=FinetuneConfig(train=QUICK, max_tokens=POSITIONS + 1, layers=(1, 3)))
    distil([run / "model"], LONG, {}, out, config)


def _forms(_: Path, run: Path, __: Path) -> None:
    measure_forms(run / "model", LONG[:-1], LONG, max_tokens=POSITIONS + 1)


def _refit(_: Path, run: Path, out: Path) -> None:
    refit_titles(
        run / "model", [*TITLES, Row("二手 " * 80, "negative", "title")], out, max_tokens=POSITIONS + 1
    )


@pytest.mark.parametrize("start", [_pretrain, _finetune, _validate, _prefix, _distil, _forms, _refit])
def test_a_text_beyond_the_positions_is_refused_before_anything_is_written(
    base: Path, run: Path, tmp_path: Path, start: Callable[[Path, Path, Path], None]
) -> None:
    with pytest.raises(UsageError, match="64 positions") as error:
        start(base, run, tmp_path / "out")
    assert "--max-tokens" in str(error.value.hint)
    assert not (tmp_path / "out").exists()


def test_a_text_beyond_the_positions_is_cut_to_be_explained(run: Path) -> None:
    model, tokenizer, columns = models.load(run)
    found = attribute(model, tokenizer, columns, "手机 " * 80, "review", max_tokens=256, steps=2)
    assert len(found.pieces) == POSITIONS - 2
    assert attribute_folder(run, [("review", "手机 " * 80)], steps=2)[0].pieces == found.pieces[:30]
