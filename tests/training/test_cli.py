import contextlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from transformers import BertForMaskedLM

from tests.classify.precisions import CAN_INT8
from tests.training.commands import tagline_train
from tests.training.rows import make_rows
from training import finetune as finetuning
from training import model as models
from training.cli import app, distil
from training.data import Row, read_rows, write_rows
from training.distil import DistilConfig
from training.pretrain import pretrain
from training.runs import read_json, write_json
from training.train_config import TrainConfig
from worker.classify.answers import KINDS
from worker.classify.engine import Engine
from worker.errors import ModelError, UsageError


def test_from_a_file_of_labels_to_a_bundle(base: Path, tmp_path: Path) -> None:
    rows = make_rows(200, seed=1)
    write_rows(tmp_path / "mine.jsonl", [*rows, *rows[:3]])
    splits = tmp_path / "splits"
    assert "copies_dropped: 3" in tagline_train(
        "prepare", tmp_path / "mine.jsonl", "--out", splits, "--test-share", 0.2
    )
    train, validation, test = (splits / f"{name}.jsonl.gz" for name in ("train", "validation", "test"))
    told = read_json(splits / "run.json")
    assert told["options"] == {"validation_share": 0.05, "test_share": 0.2, "seed": 0, "labels": {}}
    assert told["inputs"].keys() == {"mine.jsonl"}
    run = tmp_path / "run"
    tagline_train(
        "finetune", train, "--base", base, "--out", run, "--validation", validation, "--epochs", 3, "--lr", 0.002,
        "--batch-tokens", 256, "--max-tokens", 32, "--precision", "float32",
    )  # fmt: skip
    inputs = read_json(run / "run.json")["inputs"].keys()
    assert {"train.jsonl.gz", "validation.jsonl.gz", "model.safetensors", "tokenizer.json"} <= inputs
    bundle = tmp_path / "bundle"
    tagline_train(
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
    told = read_json(bundle / "run.json")
    assert told["options"]["config"]["temperatures"].keys() == {"review"}
    assert {"validation.jsonl.gz", "model.safetensors", "columns.json"} <= told["inputs"].keys()
    if CAN_INT8:
        assert read_json(bundle / "bundle.json")["int8"]["texts"] == len(read_rows(validation))
        assert "## In int8" in (bundle / "README.md").read_text()
    table = tagline_train("evaluate", test, "--model", bundle, "--out", tmp_path / "scores", "--train", train)
    assert table.endswith(
        tagline_train("compare", tmp_path / "scores")
    )  # the engine's log line stands before it
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())["sets"]["test"]
    assert scores["rows"] == len(read_rows(test))
    assert {"majority", "linear", "categories", "confusion"} <= scores.keys()
    unpacked, small = tmp_path / "unpacked", tmp_path / "small"
    assert "mine" in tagline_train("unpack", bundle, "--out", unpacked)
    assert read_json(unpacked / "length.json") == {"max_tokens": 32}
    tagline_train(
        "distil", train, "--teacher", run / "model", "--teacher", unpacked, "--layers", "1,3", "--out", small, "--epochs", 1,
        "--batch-tokens", 256, "--max-tokens", 32,
    )  # fmt: skip
    assert read_json(small / "run.json")["options"]["config"]["finetune"]["head_dropout"] == 0
    assert "mean relative error" in tagline_train(
        "quantise", "--model", small / "model", "--out", tmp_path / "rounded"
    )
    assert "model.safetensors" in read_json(tmp_path / "rounded" / "run.json")["inputs"]


def test_who_trains_one_kind_is_told_that_a_worker_reads_two_and_an_unpacked_bundle_has_both(
    both: Path, base: Path, tmp_path: Path
) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(60, seed=5))
    tagline_train("export", "--model", both / "model", "--out", tmp_path / "shipped", "--name", "shipped")
    tagline_train("unpack", tmp_path / "shipped", "--out", tmp_path / "unpacked")
    for start, lacking in ((base, True), (tmp_path / "unpacked", False)):
        run, bundle = tmp_path / f"run-{lacking}", tmp_path / f"bundle-{lacking}"
        trained = tagline_train(
            "finetune", tmp_path / "mine.jsonl", "--base", start, "--out", run, "--epochs", 0.2, "--max-tokens", 32,
            "--precision", "float32",
        )  # fmt: skip
        exported = tagline_train("export", "--model", run / "model", "--out", bundle, "--name", "mine")
        for printed in (trained, exported):
            assert ("warning: the model does not answer for texts of kind title" in printed) == lacking
        engine = Engine.load(bundle=bundle)
        with pytest.raises(ModelError, match="title") if lacking else contextlib.nullcontext():
            engine.require(KINDS)


def test_finetuning_goes_on_from_further_pretraining(base: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "texts.jsonl", make_rows(60, seed=1))
    tagline_train(
        "pretrain", tmp_path / "texts.jsonl", "--base", base, "--out", tmp_path / "pre", "--batch-tokens", 256
    )
    tagline_train(
        "finetune", tmp_path / "texts.jsonl", "--base", tmp_path / "pre" / "model", "--out", tmp_path / "run",
        "--epochs", 0.5, "--batch-tokens", 256,
    )  # fmt: skip
    assert (tmp_path / "run" / "model" / "columns.json").is_file()
    inputs = read_json(tmp_path / "pre" / "run.json")["inputs"].keys()
    assert {"texts.jsonl", "model.safetensors", "tokenizer.json"} <= inputs


def test_further_pretraining_attends_as_training_does_and_leaves_what_it_can_go_on_from(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention: list[str] = []
    stock = BertForMaskedLM.forward

    def forward(self: BertForMaskedLM, *args: Any, **options: Any) -> Any:
        attention.append(str(self.config._attn_implementation))
        return stock(self, *args, **options)

    monkeypatch.setattr(BertForMaskedLM, "forward", forward)
    pretrain(str(base), make_rows(20, seed=1), tmp_path / "pre", TrainConfig(epochs=0.5, precision="float32"))
    assert set(attention) == {models.ATTENTION}
    model, told = BertForMaskedLM.from_pretrained(tmp_path / "pre" / "model", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    tied = model.get_output_embeddings().weight
    assert tied.data_ptr() == model.get_input_embeddings().weight.data_ptr()


TITLES = [
    Row(f"{word} 手机 {number}", tone, "title")
    for number in range(12)
    for word, tone in (("二手", "negative"), ("爆款", "positive"), ("书", "neutral"))
]


@pytest.fixture(scope="module")
def both(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on reviews and titles, its files beside it: train, mixed, doubtful."""
    folder = tmp_path_factory.mktemp("both")
    write_rows(folder / "train.jsonl", [*make_rows(120, seed=1), *TITLES[:24]])
    write_rows(folder / "mixed.jsonl", [*make_rows(40, seed=2), *TITLES[24:], Row("手机 ?", None)])
    write_rows(folder / "doubtful.jsonl", [Row(f"手机 {number} 书", "3") for number in range(8)])
    tagline_train(
        "finetune", folder / "train.jsonl", "--base", base, "--out", folder, "--validation", folder / "mixed.jsonl",
        "--epochs", 2, "--lr", 0.002, "--batch-tokens", 256, "--max-tokens", 48, "--precision", "float32",
    )  # fmt: skip
    return folder


def test_a_file_of_reviews_and_titles_is_scored_by_kind(both: Path, tmp_path: Path) -> None:
    assert {"mixed_review", "mixed_title"} <= read_json(both / "before_after.json")["after"].keys()
    tagline_train(
        "export", "--model", both / "model", "--out", tmp_path / "bundle", "--name", "both",
        "--validation", both / "mixed.jsonl",
    )  # fmt: skip
    manifest = read_json(tmp_path / "bundle" / "bundle.json")
    assert all(entry["temperature"] != 1.0 for entry in manifest["kinds"].values())
    assert manifest["max_tokens"] == 48  # as it was trained
    for model in (both / "model", tmp_path / "bundle"):
        tagline_train("evaluate", both / "mixed.jsonl", "--model", model, "--out", tmp_path / "scores")
        sets = read_json(tmp_path / "scores" / "scores.json")["sets"]
        assert {name: row["rows"] for name, row in sets.items()} == {"mixed_review": 40, "mixed_title": 12}
        assert sets["mixed_title"]["f1"].keys() == {"negative", "neutral", "positive"}
    inputs = read_json(tmp_path / "scores" / "run.json")["inputs"]
    assert {"mixed.jsonl", "bundle.json", "model.safetensors"} <= inputs.keys()


def test_doubtful_texts_set_the_neutral_share(both: Path, tmp_path: Path) -> None:
    printed = tagline_train(
        "export", "--model", both / "model", "--out", tmp_path, "--name", "both",
        "--validation", both / "mixed.jsonl", "--doubtful", both / "doubtful.jsonl",
    )  # fmt: skip
    manifest = read_json(tmp_path / "bundle.json")
    fitted = manifest["evaluation"]["neutral"]["review"]
    assert manifest["kinds"]["review"]["neutral_share"] == fitted["share"]
    assert fitted["polar_called_neutral"] <= 0.03
    assert f"review: neutral share {fitted['share']}" in printed
    with pytest.raises(UsageError, match="no validation set"):
        tagline_train(
            "export",
            "--model",
            both / "model",
            "--out",
            tmp_path,
            "--name",
            "b",
            "--doubtful",
            both / "doubtful.jsonl",
        )


def test_more_tokens_than_positions_are_refused(both: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="64 positions"):
        tagline_train(
            "export", "--model", both / "model", "--out", tmp_path / "b", "--name", "b", "--max-tokens", 65
        )
    assert not (tmp_path / "b").exists()


def test_texts_beyond_the_positions_are_refused_before_they_are_scored(both: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "long.jsonl", [Row("手机 " * 80, "positive"), Row("书", "negative")])
    for command in (
        ("evaluate", tmp_path / "long.jsonl", "--out", tmp_path / "scores"),
        ("export", "--validation", tmp_path / "long.jsonl", "--name", "b", "--out", tmp_path / "bundle"),
    ):
        with pytest.raises(UsageError, match="64 positions"):
            tagline_train(*command, "--model", both / "model", "--max-tokens", 65)


def test_files_of_one_name_are_told_apart_by_their_folders(both: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 4)):
        write_rows(tmp_path / name / "test.jsonl", make_rows(10 * seed, seed=seed))
    files = [tmp_path / name / "test.jsonl" for name in ("a", "b")]
    tagline_train("evaluate", *files, "--model", both / "model", "--out", tmp_path / "scores")
    sets = read_json(tmp_path / "scores" / "scores.json")["sets"]
    assert {name: row["rows"] for name, row in sets.items()} == {"a/test": 30, "b/test": 40}
    assert {"a/test.jsonl", "b/test.jsonl"} <= read_json(tmp_path / "scores" / "run.json")["inputs"].keys()
    with pytest.raises(UsageError, match="twice"):
        tagline_train("evaluate", files[0], files[0], "--model", both / "model", "--out", tmp_path / "scores")


def test_a_file_that_is_called_train_is_checked_for_leaks_too(both: Path, tmp_path: Path) -> None:
    from training.prepare import LeakError

    write_rows(tmp_path / "train.jsonl", make_rows(10, seed=1))
    write_rows(tmp_path / "more.jsonl", make_rows(10, seed=7))
    for files in ([both / "train.jsonl"], [both / "train.jsonl", tmp_path / "more.jsonl"]):
        trained_on = [part for path in files[::-1] for part in ("--train", path)]
        with pytest.raises(LeakError):
            tagline_train(
                "evaluate",
                tmp_path / "train.jsonl",
                *trained_on,
                "--model",
                both / "model",
                "--out",
                tmp_path,
            )


def test_prepare_writes_what_the_user_says_that_labels_mean(tmp_path: Path) -> None:
    rows = "".join(f"text {n},{1 + n % 5}\n" for n in range(20))
    (tmp_path / "stars.csv").write_text(f"text,label\n{rows}")
    said = ("1=negative", "2=negative", "3=", "4=positive", "5=positive")
    tagline_train(
        "prepare", tmp_path / "stars.csv", "--out", tmp_path, "--test-share", 0, "--validation-share", 0,
        *(part for meaning in said for part in ("--label", meaning)),
    )  # fmt: skip
    labels = [row.label for row in read_rows(tmp_path / "train.jsonl.gz")]
    assert [labels.count(label) for label in ("negative", None, "positive")] == [8, 4, 8]


def test_compared_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    row = {"accuracy": 0.5, "macro_f1": 0.4, "ece": 0.1}
    for name in ("a", "b"):
        write_json(tmp_path / name / "scores" / "scores.json", {"sets": {"shop": row}})
    table = tagline_train("compare", tmp_path / "a" / "scores", tmp_path / "b" / "scores")
    assert "| a/scores |" in table
    assert "| b/scores |" in table


def test_seeds_of_one_recipe_are_summed_up_over_the_sets_that_all_have(tmp_path: Path) -> None:
    for name, share in (("a", 0.5), ("b", 0.7)):
        row = {"accuracy": share, "macro_f1": 0.4, "ece": share / 10}
        write_json(
            tmp_path / name / "scores.json", {"sets": {"shop": row} | ({"chn": row} if name == "a" else {})}
        )
    table = tagline_train("compare", tmp_path / "a", tmp_path / "b", "--spread")
    assert table.endswith("| mean ± s.d. of 2 | - | 60.00 ± 14.14 / 40.00 ± 0.00 / 0.060 ± 0.014 |\n")
    with pytest.raises(UsageError, match="two runs"):
        tagline_train("compare", tmp_path / "a", "--spread")


def test_a_folder_without_scores_is_not_compared(tmp_path: Path) -> None:
    write_json(tmp_path / "bundle" / "bundle.json", {"evaluation": {}})
    for folder in (tmp_path / "none", tmp_path / "bundle"):
        with pytest.raises(UsageError, match="holds no scores") as error:
            tagline_train("compare", folder)
        assert error.value.hint


@pytest.mark.parametrize(
    ("method", "written"),
    [
        ("full", ["model"]),
        ("lora", ["model", "adapters"]),
        ("prefix", ["adapters"]),
        ("adapters", ["adapters"]),
    ],
)
def test_a_run_says_what_it_wrote_and_no_best_step_without_validation(
    base: Path, tmp_path: Path, method: str, written: list[str]
) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(20, seed=1))
    run = tmp_path / "run"
    printed = tagline_train(
        "finetune", tmp_path / "mine.jsonl", "--base", base, "--out", run, "--method", method, "--epochs", 0.1,
        "--max-tokens", 32, "--precision", "float32",
    )  # fmt: skip
    assert f"1 steps; {', '.join(f'{name} in {run / name}' for name in written)}\n" in printed
    assert all((run / name).is_dir() for name in written)


def test_a_translator_of_one_s_own_adds_rows(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_rows(20, seed=1)
    write_rows(tmp_path / "mine.jsonl", rows)
    (tmp_path / "marking.py").write_text("def mark(text):\n    return text + ' marked'\n\nnone = len\n")
    monkeypatch.syspath_prepend(tmp_path)
    encoded: list[str] = []
    stock = finetuning.encode

    def watched(rows: list[Row], *further: Any, **options: Any) -> Any:
        encoded.extend(row.text for row in rows)
        return stock(rows, *further, **options)

    monkeypatch.setattr(finetuning, "encode", watched)
    command = (
        "finetune",
        tmp_path / "mine.jsonl",
        "--base",
        base,
        "--out",
        tmp_path / "run",
        "--epochs",
        0.1,
    )
    for options, said in (
        (("--back-translate", "marking:mark"), "adds to the copies of --augment"),
        (("--back-translate", "marking:nothing", "--augment", 1), "no attribute"),
        (("--back-translate", "nowhere:mark", "--augment", 1), "No module"),
        (("--back-translate", "marking", "--augment", 1), "marking: "),
        (("--back-translate", "marking:none", "--augment", 1), "gives no text"),
    ):
        with pytest.raises(UsageError, match=said) as error:
            tagline_train(*command, *options)
        assert error.value.hint
    assert not (tmp_path / "run").exists()
    tagline_train(*command, "--augment", 1, "--back-translate", "marking:mark", "--precision", "float32")
    assert {f"{row.text} marked" for row in rows} <= set(encoded)
    told = read_json(tmp_path / "run" / "run.json")["options"]["config"]["recipe"]
    assert told["back_translate"] == "marking:mark"


def test_the_command_and_the_function_give_the_teacher_one_share() -> None:
    assert inspect.signature(distil).parameters["teacher_share"].default == DistilConfig().teacher_share


@pytest.mark.parametrize(("options", "rate"), [((), 0.02), (("--lr", 0.5), 0.5)])
def test_every_optimiser_has_a_rate_at_which_it_learns(
    base: Path, tmp_path: Path, options: tuple[object, ...], rate: float
) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(20, seed=1))
    tagline_train(
        "finetune", tmp_path / "mine.jsonl", "--base", base, "--out", tmp_path / "run", "--epochs", 0.1,
        "--optimiser", "sgd", *options,
    )  # fmt: skip
    assert read_json(tmp_path / "run" / "run.json")["options"]["config"]["train"]["lr"] == rate


def test_a_split_that_came_out_empty_is_warned_of(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(4, seed=1))
    printed = tagline_train(
        "prepare", tmp_path / "mine.jsonl", "--out", tmp_path, "--validation-share", 0.01, "--test-share", 0
    )
    assert "validation: 0" in printed
    assert "warning: the share 0.01 of so few rows left validation empty" in printed
    assert "left test empty" not in printed


def test_a_temperature_at_the_end_of_what_is_tried_is_warned_of(both: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "few.jsonl", make_rows(2, seed=1))
    printed = tagline_train(
        "export", "--model", both / "model", "--out", tmp_path / "bundle", "--name", "both",
        "--validation", tmp_path / "few.jsonl",
    )  # fmt: skip
    assert "warning: the temperature of kind `review`" in printed


def test_every_command_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    groups = [app, *(group.typer_instance for group in app.registered_groups)]
    commands = [command for group in groups if group for command in group.registered_commands]
    names = {command.name or command.callback.__name__ for command in commands if command.callback}
    assert len(names) > 15
    rows = {name: (f"\n| `{name}` | ", f"\n| [`{name}`](#{name}) | ") for name in names}
    assert {name for name, either in rows.items() if not any(row in page for row in either)} == set()
