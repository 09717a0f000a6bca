import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.rows import make_rows
from training import model as models
from training.batches import encode
from training.calibrate import Temperature
from training.canaries import CANARIES
from training.data import Row
from training.distil import DistilConfig, distil
from training.evaluate import calibrate
from training.export import ExportConfig, export_bundle, load_bundle, three_label_probabilities
from training.finetune import FinetuneConfig, finetune
from training.predict import logits_for
from training.quantise import dequantise_state, half_state, quantise_rows, quantise_state
from training.runs import read_json, write_json
from training.scores import evaluate_folder
from training.train_config import TrainConfig
from worker.classify.engine import Engine, Probabilities
from worker.classify.normalise import normalise
from worker.errors import ModelError, UsageError
from worker.settings import ModelSettings

QUICK = TrainConfig(epochs=3, lr=2e-3, tokens_per_batch=256, precision="float32", seed=3)
LONGER = FinetuneConfig(train=replace(QUICK, epochs=14, average_decay=0.9), max_tokens=32)
TITLES = [
    Row(f"{word} 手机 {number}", tone, "title")
    for number in range(12)
    for word, tone in (("二手", "negative"), ("爆款", "positive"), ("书", "neutral"))
]


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    finetune(str(base), [*make_rows(240, seed=1), *TITLES], {}, out, LONGER)
    return out / "model"


def _config(**changes: object) -> ExportConfig:
    return replace(ExportConfig("tiny", "1", 32, neutral_share=0.2, canaries=()), **changes)  # type: ignore[arg-type]  # by name


def test_int8_rows_are_within_half_a_step() -> None:
    weight = torch.randn(20, 50, generator=torch.Generator().manual_seed(0))
    stored, scale = quantise_rows(weight)
    assert stored.dtype == torch.int8
    error = (stored.float() * scale[:, None] - weight).norm() / weight.norm()
    assert float(error) < 0.01


def test_only_matrices_are_rounded() -> None:
    state = {"a": torch.randn(4, 4), "b": torch.randn(4)}
    again = dequantise_state(quantise_state(state))
    assert torch.equal(again["b"], state["b"])
    assert not torch.equal(again["a"], state["a"])
    assert torch.equal(dequantise_state(half_state(state))["a"], state["a"].half().float())


@pytest.mark.parametrize("storage", ["int8", "float16"])
def test_a_bundle_answers_as_the_model_that_was_exported(trained: Path, tmp_path: Path, storage: str) -> None:
    export_bundle(trained, tmp_path, _config(storage=storage))
    bundle = load_bundle(tmp_path)
    model, tokenizer, columns = models.load(trained)
    examples = encode(make_rows(30, seed=9), tokenizer, columns, max_tokens=32)
    expected = logits_for(model, examples, columns, pad_id=1)
    found = logits_for(bundle.model, examples, bundle.columns, pad_id=1)
    assert np.abs(found - expected).max() < 0.05


def test_a_changed_file_is_refused(trained: Path, tmp_path: Path) -> None:
    export_bundle(trained, tmp_path, _config())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json"):
        load_bundle(tmp_path)


def test_a_canary_with_another_answer_stops_the_export(trained: Path, tmp_path: Path) -> None:
    model, tokenizer, columns = models.load(trained)
    manifest = export_bundle(trained, tmp_path, _config())
    answer = three_label_probabilities(
        model, tokenizer, columns, [Row("手机 很好", None)], manifest["kinds"], max_tokens=32
    )[0]
    wrong = "negative" if answer.label != "negative" else "positive"
    stood = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for out in (tmp_path, tmp_path / "new"):
        with pytest.raises(ModelError, match="canary"):
            export_bundle(trained, out, _config(storage="float16", canaries=[("review", "手机 很好", wrong)]))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == stood


def test_who_may_read_a_bundle_is_for_the_umask_to_say(trained: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        export_bundle(trained, tmp_path / "bundle", _config())
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "bundle").iterdir()}
    assert set(modes.values()) == {0o640}, modes


def test_the_worker_gives_the_same_probabilities(trained: Path, tmp_path: Path) -> None:
    export_bundle(
        trained, tmp_path, _config(temperatures={"review": Temperature(1.7, 1.2), "title": Temperature(0.8)})
    )
    stored = load_bundle(tmp_path)
    long_text = "手机 很好 " * 40
    rows = [
        *make_rows(20, seed=9),
        Row(long_text),
        Row("二手 手机", kind="title"),
        Row("ＧＲＥＡＴ\u200b phone"),
    ]
    expected = three_label_probabilities(
        stored.model, stored.tokenizer, stored.columns, rows, stored.manifest["kinds"], max_tokens=32
    )
    engine = Engine.load(ModelSettings(precision="float32", device="cpu"), bundle=tmp_path)
    found = engine.classify(engine.prepare([(row.kind, *normalise(row.text)) for row in rows]))
    for answer, wanted in zip(found, expected, strict=True):
        assert isinstance(answer, Probabilities)
        assert np.allclose(answer[:3], wanted[:3], atol=1e-5)


@pytest.mark.parametrize("hidden_weight", [0.0, 1.0])
def test_a_student_learns_from_texts_without_labels(
    trained: Path, tmp_path: Path, hidden_weight: float
) -> None:
    rows = [replace(row, label=None) for row in make_rows(120, seed=6)]
    config = DistilConfig(
        finetune=FinetuneConfig(train=replace(QUICK, epochs=6), max_tokens=32, layers=(1, 3)),
        hidden_weight=hidden_weight,
    )
    distil([trained], rows, {}, tmp_path, config)
    teacher, tokenizer, columns = models.load(trained)
    student, _, _ = models.load(tmp_path / "model")
    untaught, _, _ = models.load(trained)
    models.keep_layers(untaught, (1, 3))
    examples = encode(make_rows(60, seed=7), tokenizer, columns, max_tokens=32)
    goal, taught, raw = (
        logits_for(model, examples, columns, pad_id=1)[:, :2] for model in (teacher, student, untaught)
    )

    def gap(logits: np.ndarray) -> float:  # distance of the polarity margin from the teacher's
        return float(np.abs((logits[:, 1] - logits[:, 0]) - (goal[:, 1] - goal[:, 0])).mean())

    assert gap(taught) < gap(raw)


def test_a_bundle_is_scored_with_its_own_temperatures(trained: Path, tmp_path: Path) -> None:
    export_bundle(trained, tmp_path, _config(temperatures={"review": Temperature(3.0)}))
    rows = make_rows(40, seed=9)
    calm = evaluate_folder(tmp_path, {"x": rows}, max_tokens=32)["x"]
    raw = evaluate_folder(trained, {"x": rows}, max_tokens=32)["x"]
    assert calm["accuracy"] == pytest.approx(raw["accuracy"], abs=0.05)
    assert calm["ece"] != raw["ece"]


def test_a_bundle_that_was_imported_is_scored_as_the_worker_reads_it(trained: Path, tmp_path: Path) -> None:
    export_bundle(trained, tmp_path, _config())
    manifest = read_json(tmp_path / "bundle.json")
    head = manifest["kinds"]["review"]
    rows = make_rows(40, seed=9)
    plain = evaluate_folder(tmp_path, {"x": rows}, max_tokens=32)["x"]["confusion"]
    # The same columns in another order, as checkpoints have them that list positive first.
    head["labels"], head["columns"] = head["labels"][::-1], head["columns"][::-1]
    write_json(tmp_path / "bundle.json", manifest)
    assert evaluate_folder(tmp_path, {"x": rows}, max_tokens=32)["x"]["confusion"] == plain
    with pytest.raises(ModelError, match="not exported here"):
        load_bundle(tmp_path)
    # One column with a sigmoid answers for both labels.
    head |= {"labels": ["positive"], "columns": head["columns"][:1], "activation": "sigmoid"}
    write_json(tmp_path / "bundle.json", manifest)
    scores = evaluate_folder(tmp_path, {"x": rows}, max_tokens=32)["x"]
    assert scores["f1"].keys() == {"negative", "positive"}


def test_rows_without_label_are_no_gold(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`x` has rows without label"):
        evaluate_folder(trained, {"x": [Row("好")]}, max_tokens=32)
    export_bundle(trained, tmp_path, _config())
    foreign = {"x": [Row("好", "positive", "ad")]}
    for folder in (tmp_path, trained):
        with pytest.raises(UsageError, match="kind `ad`"):
            evaluate_folder(folder, foreign, max_tokens=32)
    with pytest.raises(UsageError, match="kind `ad`"):
        calibrate(trained, foreign, max_tokens=32)
    with pytest.raises(UsageError, match="kind `ad`"):
        calibrate(trained, {}, foreign["x"], max_tokens=32)


def test_neutral_rows_are_scored_by_the_neutral_rule(trained: Path, tmp_path: Path) -> None:
    rows = [*make_rows(40, seed=9), Row("the the the", "neutral"), Row("is the is", "neutral")]
    called = []
    for share in (0.0, 1.0):
        export_bundle(
            trained,
            tmp_path,
            _config(neutral_share=share, temperatures={"review": Temperature(1000.0)}, canaries=()),
        )
        scores = evaluate_folder(tmp_path, {"x": rows, "y": rows[:40]}, max_tokens=32)
        assert scores["x"]["f1"].keys() == {"negative", "neutral", "positive"}
        assert scores["y"]["f1"].keys() == {"negative", "positive"}
        called.append((sum(row[1] for row in scores["x"]["confusion"]), scores["y"]["called_neutral"]))
        assert "called_neutral" not in scores["x"]
    assert called[0] == (0, 0.0)
    assert called[1] == (42, 1.0)


def test_a_set_of_two_labels_is_the_same_choice_with_a_neutral_column_and_without(
    trained: Path, tmp_path: Path
) -> None:
    model, tokenizer, columns = models.load(trained)
    three = models.Columns({**columns.labels, "review": ("negative", "neutral", "positive")})
    models.save(models.with_columns(model, columns, three), tokenizer, three, tmp_path / "three")
    rows = make_rows(40, seed=9)
    scores = {}
    for folder in (trained, tmp_path / "three"):
        export_bundle(folder, tmp_path / "bundle", _config(canaries=()))
        scores[folder] = evaluate_folder(tmp_path / "bundle", {"x": rows}, max_tokens=32)["x"]
    assert scores[trained]["confusion"] == scores[tmp_path / "three"]["confusion"]
    assert scores[trained]["ece"] == pytest.approx(scores[tmp_path / "three"]["ece"], abs=1e-5)


def test_labels_that_no_worker_serves_are_not_exported(trained: Path, tmp_path: Path) -> None:
    model, tokenizer, _ = models.load(trained)
    columns = models.Columns({"review": ("bad", "good", "so so"), "title": ("negative", "positive")})
    models.save(model, tokenizer, columns, tmp_path / "model")
    with pytest.raises(UsageError, match="labels of kind `review`"):
        export_bundle(tmp_path / "model", tmp_path / "bundle", _config())
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("told", [{"name": "my model"}, {"name": ""}, {"name": "-a"}, {"version": "1" * 51}])
def test_what_a_worker_would_not_load_is_not_exported(
    trained: Path, tmp_path: Path, told: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match=next(iter(told))) as error:
        export_bundle(trained, tmp_path / "bundle", _config(**told))
    assert error.value.hint
    assert not (tmp_path / "bundle").exists()


def test_canaries_cover_both_languages_and_every_label() -> None:
    assert {(kind, label) for kind, _, label in CANARIES} >= {
        ("review", "negative"),
        ("review", "positive"),
        ("title", "negative"),
        ("title", "neutral"),
        ("title", "positive"),
    }
