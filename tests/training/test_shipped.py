"""The recipe of the shipped bundle, on sets that were written for this test."""

import csv
import gzip
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.rows import make_rows
from training import model as models
from training.data import Row, records
from training.distil import DistilConfig
from training.export import load_bundle
from training.finetune import FinetuneConfig
from training.prepare import LeakError, check_no_leak, text_key
from training.recipes import shipped
from training.recipes.augment_form import sentences, set_apart
from training.recipes.shipped import (
    BundleConfig,
    ShippedConfig,
    calibration_sets,
    reproduce,
    stage_baseline,
    stage_data,
    validation_sets,
)
from training.recipes.shipped import test_sets as sets_to_score
from training.recipes.shipped_data import prepare_shipped
from training.reviews import judged
from training.reviews.judged import text_hash
from training.runs import write_json
from training.splits import read_split
from training.train_config import TrainConfig
from worker.errors import UsageError


def _write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _polar(rows: list[Row], **extra: Any) -> list[dict[str, Any]]:
    return [
        {"text": row.text, "label": int(row.label == "positive"), "category": row.category, **extra}
        for row in rows
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every set of the recipe, small; test texts of one set stand in the train texts of others."""
    folder = tmp_path_factory.mktemp("data")
    rows = iter(make_rows(4_000, seed=11))

    def take(count: int) -> list[Row]:
        return [next(rows) for _ in range(count)]

    chn_test, chn_dev = take(30), take(20)
    _write(folder, "zh_online_shopping", _polar([*take(1_800), *chn_test[:10], *chn_dev[:5]]))
    _write(folder, "zh_chnsenticorp_train", _polar([*take(30), *chn_test[:3]]))
    _write(folder, "zh_chnsenticorp_dev", _polar(chn_dev))
    _write(
        folder,
        "zh_chnsenticorp_test",
        [record | {"clean": index >= 10} for index, record in enumerate(_polar(chn_test))],
    )
    _write(folder, "en_sst2_dev", _polar(take(10)))
    _write(folder, "zh_unlabelled_reviews", [{"text": row.text} for row in [*take(20), chn_test[0]]])
    amazon = _polar(take(1_500))
    _write(
        folder,
        "en_amazon_4_domains",
        [
            record | {"headline": f"headline {index} {record['text'][:12]}"}
            for index, record in enumerate(amazon)
        ],
    )
    aspects = [
        {"text": f"the $T$ is {word} {index}", "aspect": "food", "sentiment": tone}
        for index in range(6)
        for word, tone in (("good", "positive"), ("bad", "negative"), ("there", "neutral"))
    ]
    for name in ("laptops", "restaurants"):
        _write(
            folder, f"en_aspect_{name}_train", [row | {"text": f"{name} {row['text']}"} for row in aspects]
        )
        _write(
            folder,
            f"en_aspect_{name}_test_gold",
            [row | {"text": f"test {name} {row['text']}"} for row in aspects],
        )
    for name in ("phone", "camera", "car", "notebook", "hair"):
        for part in ("train", "test"):
            _write(
                folder,
                f"zh_aspect_{name}_{part}",
                [row | {"text": f"{name} {part} {row['text']}"} for row in aspects],
            )
    _write(folder, "zh_titles_weidian", [{"title": f"爆款 衣服 {index}"} for index in range(1_500)])
    _write(folder, "zh_titles_shopee", [{"title": f"书 {index}"} for index in range(1_500)])
    _write(
        folder,
        "zh_en_title_pairs_shopee",
        [{"zh": f"手机 {index}", "en": f"phone {index}"} for index in range(20)],
    )
    with gzip.open(folder / "en_fusion_wish_2020.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([["title", "price"], *([f"hotel book {index}", 3] for index in range(20))])
    return folder


@pytest.fixture(scope="module")
def splits(data: Path) -> Mapping[str, Sequence[Row]]:
    """What becomes of them, where a reader labelled no text."""
    return prepare_shipped(data).splits


def test_no_held_out_text_is_trained_on(splits: Mapping[str, Sequence[Row]]) -> None:
    trained = {
        text_key(row.text) for name in ("train", "unlabelled", "written", "judged") for row in splits[name]
    }
    for name, rows in splits.items():
        if name.startswith(("test_", "validation_")):
            assert rows
            assert not trained & {text_key(row.text) for row in rows}
            with pytest.raises(LeakError):
                check_no_leak({"train": [*splits["train"], rows[0]], name: rows})


def test_the_test_set_of_chnsenticorp_stays_whole(splits: Mapping[str, Sequence[Row]]) -> None:
    assert len(splits["test_chn"]) == 30


def test_a_headline_goes_where_its_review_goes(splits: Mapping[str, Sequence[Row]]) -> None:
    held = {row.text.lower()[:12] for name in ("test_amazon", "validation_amazon") for row in splits[name]}
    kept = {row.text.lower()[:12] for row in splits["train"] if row.source == "amazon"}
    for row in splits["train"]:
        if row.source == "amazon_headline":
            start = row.text.lower().split(" ", 2)[2]
            assert start not in held or start in kept


def test_preparing_twice_gives_the_same_splits(
    data: Path, splits: Mapping[str, Sequence[Row]], tmp_path: Path
) -> None:
    assert prepare_shipped(data).splits == splits
    stage_data(data, tmp_path)
    assert read_split(tmp_path / "splits", "train") == splits["train"]


def test_the_rows_scored_while_training_are_drawn_from_the_whole_set(data: Path, tmp_path: Path) -> None:
    stage_data(data, tmp_path)
    whole = validation_sets(tmp_path / "splits")["shop"]
    drawn = validation_sets(tmp_path / "splits", 20)["shop"]
    assert len(drawn) == 20 < len(whole)
    assert drawn == validation_sets(tmp_path / "splits", 20)["shop"]
    assert any(row in whole[len(whole) // 2 :] for row in drawn)


def test_validation_rows_of_chnsenticorp_have_no_copy_in_its_training_set(
    data: Path, splits: Mapping[str, Sequence[Row]], tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(data, copied)
    dev, train = (list(records(data / f"zh_chnsenticorp_{part}.jsonl.gz")) for part in ("dev", "train"))
    _write(copied, "zh_chnsenticorp_train", [*train, *dev[:4]])
    before, after = (
        {row.text for row in found["validation_chn"]} for found in (splits, prepare_shipped(copied).splits)
    )
    assert before - after == {record["text"] for record in dev[:4]} & before != set()


def test_what_was_trained_on_other_rows_is_not_gone_on_from(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = stage_data(data, tmp_path)
    assert stage_data(data, tmp_path) == splits
    known = {text_hash(row.text): "neutral" for row in read_split(splits, "unlabelled")[:1]}
    monkeypatch.setattr(judged, "labels", lambda: known)
    with pytest.raises(UsageError, match=r"other rows than .*: unlabelled, judged") as error:
        stage_data(data, tmp_path)
    assert error.value.hint


def test_what_is_scored_and_what_the_baseline_learns(
    data: Path, splits: Mapping[str, Sequence[Row]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = [*splits["unlabelled"][:5], *splits["validation_shop"][:8]]
    monkeypatch.setattr(judged, "labels", lambda: {text_hash(row.text): "neutral" for row in read})
    folder = stage_data(data, tmp_path)
    scored = {row.text for row in sets_to_score(folder)["validated"]}
    assert len(scored) == 4
    fitted = {row.text for rows in calibration_sets(folder).values() for row in rows}
    assert not scored & fitted
    assert {row.text for row in read[5:]} - scored <= fitted
    learned: list[Row] = []

    def learn(rows: list[Row], _: object) -> dict[str, float]:
        learned.extend(rows)
        return {}

    monkeypatch.setattr(shipped, "linear_rows", learn)
    stage_baseline(folder)
    for name in ("train", "written", "judged"):
        assert set(read_split(folder, name)) <= set(learned)


QUICK = FinetuneConfig(
    train=TrainConfig(
        epochs=0.2, lr=2e-3, tokens_per_batch=1_024, precision="float32", evaluate_every_steps=50
    ),
    max_tokens=32,
)
CONFIG = ShippedConfig(
    pieces=70,
    teacher=QUICK,
    student=DistilConfig(finetune=replace(QUICK, layers=(1, 3))),
    copies=2,
    bundle=BundleConfig(canaries=()),
)
"""The whole recipe in seconds."""


@dataclass(frozen=True)
class Made:
    """A recipe that was run to its end: its folder, its bundle and the manifest, and the rows of teacher and student."""

    out: Path
    bundle: Path
    manifest: dict[str, Any]
    taught: list[list[Row]]


@pytest.fixture(scope="module")
def judged_rows(splits: Mapping[str, Sequence[Row]]) -> Iterator[None]:
    """Some texts that a reader labelled, one of them otherwise than its set does."""
    read = [*splits["unlabelled"][:5], *splits["validation_shop"][:8]]
    labels = {text_hash(row.text): row.label or "neutral" for row in read}
    labels[text_hash(read[-1].text)] = "neutral"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judged, "labels", lambda: labels)
        yield


@pytest.fixture(scope="module")
def made(base: Path, data: Path, judged_rows: None, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, taught = tmp_path_factory.mktemp("shipped"), []

    def watched(stage: Callable[..., Any]) -> Callable[..., Any]:
        def run(start: Any, rows: list[Row], *further: Any, **options: Any) -> Any:
            taught.append(rows)
            return stage(start, rows, *further, **options)

        return run

    with pytest.MonkeyPatch.context() as patch:
        for name in ("finetune", "distil"):
            patch.setattr(shipped, name, watched(getattr(shipped, name)))
        manifest = reproduce(data, str(base), folder / "run", folder / "bundle", CONFIG)
    return Made(folder / "run", folder / "bundle", manifest, taught)


def _nothing_is_trained(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a stage that stands was trained again")

    for name in ("finetune", "distil"):
        patch.setattr(shipped, name, refuse)


def test_the_whole_recipe_gives_a_bundle(made: Made) -> None:
    sets = made.manifest["evaluation"]["sets"]
    assert {"chn", "chn_clean", "shop", "amazon", "sst2", "title", "written_polar"} <= sets.keys()
    assert (
        sets["written"]["f1"].keys() == sets["validated"]["f1"].keys() == {"negative", "neutral", "positive"}
    )
    assert made.manifest["kinds"]["review"]["labels"] == ["negative", "neutral", "positive"]
    assert sets["validated"]["rows"] == 4
    assert all("linear" in row for row in sets.values())
    bundle = load_bundle(made.bundle)
    assert bundle.model.config.num_hidden_layers == 2
    assert bundle.tokenizer.get_vocab_size() == 70
    assert "TF-IDF" in (made.bundle / "README.md").read_text()


def test_written_and_judged_rows_come_so_often_in_an_epoch(made: Made) -> None:
    assert len(made.taught) == 2
    for rows in made.taught:
        counts = Counter(rows)
        for name in ("written", "judged"):
            split = read_split(made.out / "splits", name)
            assert split
            assert {counts[row] for row in split} == {CONFIG.copies}
        assert {counts[row] for row in read_split(made.out / "splits", "train") if row.kind == "review"} == {
            1
        }


def test_teacher_and_student_are_trained_once(
    made: Made,
    base: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _nothing_is_trained(monkeypatch)
    reproduce(data, str(base), made.out, tmp_path / "again", CONFIG)
    told = [line.split(":")[0] for line in capsys.readouterr().err.splitlines() if line.startswith("==> ")]
    assert [line[4:] for line in told] == [
        "data", "vocabulary", "teacher", "student", "neutral and titles", "bundle",
    ]  # fmt: skip
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (made.bundle / name).read_bytes()


def test_what_was_made_from_another_student_is_not_exported(
    made: Made, base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.out, tmp_path / "run")
    student = tmp_path / "run" / "student" / "model"
    model, tokenizer, columns = models.load(student)
    with torch.no_grad():
        model.bert.encoder.layer[0].output.dense.weight.mul_(1.5)
    models.save(model, tokenizer, columns, student)
    _nothing_is_trained(monkeypatch)
    reproduce(data, str(base), tmp_path / "run", tmp_path / "bundle", CONFIG)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (made.bundle, tmp_path / "bundle")]
    assert weights[0] != weights[1]


LONGER = replace(QUICK, train=replace(QUICK.train, epochs=0.3))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (replace(CONFIG, teacher=LONGER), "teacher holds a run that differs in config$"),
        (
            replace(CONFIG, student=replace(CONFIG.student, temperature=3.0)),
            "student holds a run that differs in config$",
        ),
        (CONFIG.seeded(3), "teacher holds a run that differs in config$"),
        (CONFIG.rehearsed(0.9), "teacher holds a run that differs in config$"),
        (replace(CONFIG, copies=1), "teacher holds a run that differs in rows$"),
        (replace(CONFIG, pieces=60), "base is another base, or has other pieces"),
    ],
    ids=["teacher", "student", "seed", "share", "copies", "pieces"],
)
def test_a_stage_of_another_recipe_is_not_taken_for_this_one_s(
    made: Made,
    base: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: ShippedConfig,
    said: str,
) -> None:
    _nothing_is_trained(monkeypatch)
    with pytest.raises(UsageError, match=said) as error:
        reproduce(data, str(base), made.out, tmp_path / "bundle", config)
    assert "new --out" in str(error.value.hint)
    assert not (tmp_path / "bundle").exists()


def test_a_student_of_another_teacher_and_a_teacher_from_another_base_are_refused(
    made: Made, base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.out, tmp_path / "run")
    _nothing_is_trained(monkeypatch)
    for part, said in (("teacher/model", "student holds .* in teachers$"), ("base", "base is another base")):
        folder = tmp_path / "run" / part
        model, tokenizer, columns = models.load(folder)
        with torch.no_grad():
            model.classifier.bias.add_(1.0)
        models.save(model, tokenizer, columns, folder)
        with pytest.raises(UsageError, match=said):
            reproduce(data, str(base), tmp_path / "run", tmp_path / "bundle", CONFIG)


def test_a_baseline_of_nobody_knows_which_rows_is_fitted_again(data: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "splits" / "baseline.json", {"chn": 2.0})
    splits = stage_data(data, tmp_path)
    assert not (splits / "baseline.json").exists()


def test_english_is_also_read_in_its_tokenised_form() -> None:
    assert set_apart("Don't stop, it's good!") == "Do n't stop , it 's good !"
    assert sentences("Yes. This one is quite good. No!") == ["This one is quite good."]
