"""A bundle of one's own by one command: the whole of it on a tiny model, what a second call does, and what is refused."""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.training.rows import make_rows
from training import model as models
from training import trainer
from training.calibrate import Temperature
from training.cli import app
from training.data import Row, write_rows
from training.export import ExportConfig, export_bundle, load_bundle, three_label_probabilities
from training.model import Columns
from training.prepare import check_no_leak
from training.recipes import own
from training.recipes.own_table import render
from training.runs import read_json, write_json
from training.scorer import open_bundle
from training.splits import read_split
from training.trainer import State, Trainer
from worker.classify.answers import KINDS, LABELS
from worker.classify.engine import Engine
from worker.errors import UsageError

OPTIONS = ("--epochs", 25, "--lr", 2e-3)
TITLES = [
    Row(f"{word} 手机 {number}", tone, "title")
    for number in range(30)
    for word, tone in (("二手", "negative"), ("爆款", "positive"), ("书", "neutral"))
]


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(
        app, ["bundle", *(str(argument) for argument in arguments)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.output


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Made:
    """One call: what it was given, what it left, and what it printed."""

    reviews: Path
    base: Path
    out: Path
    printed: str

    def again(self, *options: object, out: Path | None = None) -> str:
        """The same call, with ``options`` added."""
        return _run(self.reviews, "--base", self.base, "--out", out or self.out, *OPTIONS, *options)

    @property
    def manifest(self) -> dict[str, Any]:
        """That of the bundle."""
        return dict(read_json(self.out / "bundle" / "bundle.json"))


@pytest.fixture(scope="module")
def start(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle to go on from, which answers reviews and titles; it never learned anything."""
    folder, both = tmp_path_factory.mktemp("start"), Columns({"review": LABELS, "title": LABELS})
    models.save(models.build(str(base), both), models.load_tokenizer(base), both, folder / "model")
    config = ExportConfig(
        "first",
        "7",
        32,
        temperatures={"review": Temperature(1.5), "title": Temperature(0.7, 0.9)},
        canaries=(),
    )
    export_bundle(folder / "model", folder / "bundle", config)
    return folder / "bundle"


@pytest.fixture(scope="module")
def made(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("own")
    rows = make_rows(300, seed=1)
    write_rows(folder / "reviews.jsonl", [*rows, *rows[:3], Row("手机 ?", None)])
    arguments = (folder / "reviews.jsonl", "--base", start, "--out", folder / "mine", *OPTIONS)
    return Made(folder / "reviews.jsonl", start, folder / "mine", _run(*arguments))


def test_one_command_makes_a_calibrated_and_scored_bundle_that_a_worker_serves(made: Made) -> None:
    manifest, splits = made.manifest, made.out / "splits"
    rows = {name: read_split(splits, name) for name in ("train", "validation", "test")}
    check_no_leak(rows)
    counts = manifest["evaluation"]["split_counts"]
    assert counts["copies_dropped"] >= 3
    assert counts["unlabelled_dropped"] == 1
    assert sum(map(len, rows.values())) + counts["copies_dropped"] == 303
    assert min(map(len, rows.values())) >= 20
    assert (manifest["name"], manifest["version"], manifest["max_tokens"]) == ("mine", "1", 32)
    temperatures = {kind: entry["temperature"] for kind, entry in manifest["kinds"].items()}
    assert temperatures["review"] not in (1.0, 1.5)
    title = manifest["kinds"]["title"]
    assert (title["temperature"], title["temperature_han"]) == (0.7, 0.9)  # nothing was there to fit it anew
    evaluation = manifest["evaluation"]
    test = evaluation["sets"]["test"]
    assert test["rows"] == len(rows["test"])
    assert {"majority", "linear", "ece", "macro_f1", "called_neutral"} <= test.keys()
    assert test["accuracy"] > 0.8 > evaluation["base"]["sets"]["test"]["accuracy"]
    Engine.load(bundle=made.out / "bundle").require(KINDS)
    # As the engine answers, so do the stored weights by the rules of the manifest; and so it was scored.
    served = open_bundle(made.out / "bundle").served(rows["test"])
    loaded = load_bundle(made.out / "bundle")
    expected = three_label_probabilities(
        loaded.model, loaded.tokenizer, loaded.columns, rows["test"], manifest["kinds"], max_tokens=32
    )
    assert np.abs(served - np.array([answer[:3] for answer in expected])).max() < 1e-5
    gold = np.array([row.label == "positive" for row in rows["test"]])
    assert np.mean((served[:, 2] > served[:, 0]) == gold) == test["accuracy"]
    assert not (made.out / "bundle.part").exists()


def test_it_prints_the_scores_beside_the_baselines_and_the_command_that_tries_it(made: Made) -> None:
    count = made.manifest["evaluation"]["sets"]["test"]["rows"]
    assert f"\ntest, {count} rows\n" in made.printed
    for line in (
        "the commonest label always",
        "TF-IDF + logistic regression",
        "before: first 7",
        "after: mine 1",
    ):
        assert f"| {line} | " in made.printed
    assert "| macro-F1 | ECE | called neutral |" in made.printed  # no test row is neutral
    assert f"TAGLINE_MODEL_BUNDLE={made.out / 'bundle'} tagline classify " in made.printed
    assert "copies_dropped: " in made.printed
    assert "unlabelled_dropped: 1" in made.printed
    card = (made.out / "bundle" / "README.md").read_text(encoding="utf-8")
    assert f"Scored in {made.manifest['evaluation']['sets']['test']['precision']}." in card
    assert "Made by `tagline train bundle` from first 7: fine-tuned on " in card
    assert "| test | " in card


def test_what_happens_to_a_kind_without_rows_is_told_with_a_number(made: Made) -> None:
    assert "warning: the files have no row of kind `title`, which first 7 answers too" in made.printed
    assert "\ntitles labelled by hand, 622 rows (of a kind that your files lack)\n" in made.printed
    evaluation = made.manifest["evaluation"]
    before, after = (part["by_hand"]["titles labelled by hand"] for part in (evaluation["base"], evaluation))
    assert before["rows"] == after["rows"] == 622
    assert before["ece"] != after["ece"]
    card = (made.out / "bundle" / "README.md").read_text(encoding="utf-8")
    said = f"{100 * before['accuracy']:.1f} % were answered right by the base, and {100 * after['accuracy']:.1f} % are now"
    assert said in card


def test_canaries_are_those_that_the_bundle_answers_right_and_the_others_are_told(made: Made) -> None:
    kept = {canary["text"] for canary in made.manifest["canaries"]}
    for kind, text, _ in own.CANARIES:
        assert (f"warning: the {kind} {text!r} of the project should be" in made.printed) == (
            text not in kept
        )
    assert kept


def test_a_second_call_makes_nothing_anew(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in ("finetune", "calibrate", "linear_rows", "export_bundle", "write_splits", "unpack"):
        monkeypatch.setattr(own, stage, lambda *_, **__: pytest.fail("made again"))
    before = _files(made.out)
    told = made.printed[made.printed.index("\ntest, ") : made.printed.index("try it: ")]
    assert told in made.again()
    assert _files(made.out) == before


def test_a_call_that_was_killed_goes_on_without_training_again(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.out, tmp_path / "out")
    (tmp_path / "out" / "bundle").rename(tmp_path / "out" / "bundle.part")
    monkeypatch.setattr(own, "finetune", lambda *_, **__: pytest.fail("trained again"))
    made.again(out=tmp_path / "out")
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "out" / "bundle" / name).read_bytes() == (made.out / "bundle" / name).read_bytes()


def test_a_call_that_was_killed_within_the_training_ends_where_one_that_was_not_does(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precision = read_json(made.out / "run" / "cost.json")["precision"]
    monkeypatch.setattr(trainer, "fastest_precision", lambda: precision)
    whole = Trainer.run
    monkeypatch.setattr(Trainer, "run", _killed_after(7, whole))
    with pytest.raises(RuntimeError, match="killed"):
        made.again(out=tmp_path / "out")
    assert (tmp_path / "out" / "run" / "checkpoint.pt").is_file()
    assert not (tmp_path / "out" / "run" / "model").exists()
    begun = {path: path.read_bytes() for path in (tmp_path / "out" / "splits").iterdir()}
    seen: list[int] = []

    def watched(self: Trainer) -> State:
        seen.append(self.state.step)
        return whole(self)

    monkeypatch.setattr(Trainer, "run", watched)
    made.again(out=tmp_path / "out")
    assert seen == [7]
    assert {path: path.read_bytes() for path in begun} == begun
    for name in ("run/model/model.safetensors", "bundle/model.safetensors", "before.json"):
        assert (tmp_path / "out" / name).read_bytes() == (made.out / name).read_bytes()
    ours, theirs = (
        read_json(out / "bundle" / "bundle.json") | {"created_at": ""} for out in (tmp_path / "out", made.out)
    )
    assert ours == theirs


def _killed_after(steps: int, whole: Callable[..., State]) -> Callable[[Trainer], State]:
    def run(self: Trainer) -> State:
        whole(self, stop_after_steps=steps)
        raise RuntimeError("killed")

    return run


def test_a_bundle_of_another_run_is_not_taken_for_this_one_s(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.out, tmp_path / "out")
    told = read_json(tmp_path / "out" / "bundle" / "run.json")
    write_json(tmp_path / "out" / "bundle" / "run.json", told | {"inputs": {}})
    made.again(out=tmp_path / "out")
    assert read_json(tmp_path / "out" / "bundle" / "run.json")["inputs"] == told["inputs"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--epochs", 3), "differs in config$"),
        (("--seed", 1), "differs in config$"),
        (("--test-share", 0.2), "differs in config$"),
        (("--name", "other"), "differs in config$"),
        (("--label", "great=positive"), "differs in labels$"),
        (("--test", "more"), "differs in input files$"),
        (("--base", "base"), "differs in base, input files$"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_other_options_files_and_bases_are_refused_before_anything_changes(
    made: Made, base: Path, tmp_path: Path, options: tuple[str, object], said: str
) -> None:
    write_rows(tmp_path / "more.jsonl", make_rows(40, seed=3))
    stand_ins: dict[object, object] = {"more": tmp_path / "more.jsonl", "base": base}
    before = _files(made.out)
    with pytest.raises(UsageError, match=said) as error:
        made.again(options[0], stand_ins.get(options[1], options[1]), "--max-tokens", 32)
    assert "new --out" in str(error.value.hint)
    assert _files(made.out) == before


def test_a_changed_file_is_refused_before_anything_changes(made: Made, tmp_path: Path) -> None:
    changed = tmp_path / made.reviews.name
    write_rows(changed, make_rows(299, seed=1))
    before = _files(made.out)
    with pytest.raises(UsageError, match=r"differs in input files$"):
        _run(changed, "--base", made.base, "--out", made.out, *OPTIONS)
    assert _files(made.out) == before


def test_from_a_bare_encoder_there_is_no_before_and_a_lacking_kind_is_told(
    base: Path, tmp_path: Path
) -> None:
    write_rows(tmp_path / "titles.jsonl", TITLES)
    printed = _run(tmp_path / "titles.jsonl", "--base", base, "--out", tmp_path / "out", "--test-share", 0.2,
                   "--validation-share", 0.2, "--epochs", 1, "--lr", 2e-3)  # fmt: skip
    assert "warning: the model does not answer for texts of kind review" in printed
    assert "==> scoring TF-IDF + logistic regression on the test rows" in printed
    assert "| before: " not in printed
    assert "tagline classify --kind title " in printed
    manifest = read_json(tmp_path / "out" / "bundle" / "bundle.json")
    assert manifest["max_tokens"] == 64  # the encoder's positions
    assert manifest["evaluation"]["sets"]["test"]["f1"].keys() == set(LABELS)
    assert not (tmp_path / "out" / "base").exists()


def test_two_kinds_are_scored_apart_and_reviews_that_lack_are_scored_on_written_ones(
    start: Path, tmp_path: Path
) -> None:
    write_rows(tmp_path / "titles.jsonl", TITLES)
    write_rows(tmp_path / "reviews.jsonl", make_rows(200, seed=2))
    shares = ("--test-share", 0.2, "--validation-share", 0.2, "--epochs", 0.5)
    for name, files, sets, by_hand in (
        ("titles", ["titles.jsonl"], {"test"}, {"written reviews of other trades"}),
        ("both", ["titles.jsonl", "reviews.jsonl"], {"test_review", "test_title"}, set()),
    ):
        paths = [tmp_path / file for file in files]
        printed = _run(*paths, "--base", start, "--out", tmp_path / name, *shares)
        evaluation = read_json(tmp_path / name / "bundle" / "bundle.json")["evaluation"]
        assert evaluation["sets"].keys() == evaluation["base"]["sets"].keys() == sets
        assert evaluation["by_hand"].keys() == evaluation["base"]["by_hand"].keys() == by_hand
        assert ("which first 7 answers too" in printed) == bool(by_hand)


ONE_LABEL = [Row(f"好 手机 {number}", "positive") for number in range(60)]


@pytest.mark.parametrize(
    ("rows", "options", "said", "hint"),
    [
        (make_rows(30, seed=1), (), "validation has . rows of kind `review`", "raise --validation-share"),
        (make_rows(300, seed=1), ("--test-share", 0), "test has 0 rows of kind `review`", "raise --test-share"),
        (ONE_LABEL, (), "all training rows of kind `review` are positive", "another label"),
        ([*make_rows(300, seed=1), *TITLES[:9]], (), "rows of kind `title`, and below 10", "of that kind"),
        (make_rows(300, seed=1), ("--test", ONE_LABEL), "all test rows of kind `review` are positive", "other rows"),
        (make_rows(30, seed=1), ("--validation", make_rows(30, seed=1)), "no row is left to train on", "other files"),
        (make_rows(300, seed=1), ("--validation", TITLES), "validation has rows of kind title, and train has none", "add"),
        (make_rows(300, seed=1), ("--name", "my bundle"), "no worker would load this bundle: name", "letters"),
        (make_rows(300, seed=1), ("--version", ""), "no worker would load this bundle: version", "1 to 50"),
        (make_rows(300, seed=1), ("--max-tokens", 65), "65 tokens, and the encoder has 64 positions", "64"),
        ([Row(row.text, "camera" if row.label == "positive" else "phone") for row in make_rows(300, seed=1)], (),
         "no worker can serve the labels", "--label"),
    ],
    ids=["few", "no test", "one label", "few titles", "one test label", "all held out", "another kind", "name", "version", "tokens", "labels"],
)  # fmt: skip
def test_what_makes_no_bundle_is_refused_before_anything_is_written(
    start: Path, tmp_path: Path, rows: list[Row], options: Sequence[object], said: str, hint: str
) -> None:
    write_rows(tmp_path / "mine.jsonl", rows)
    given = []
    for option in options:
        if isinstance(option, list):
            write_rows(tmp_path / "ready.jsonl", option)
        given.append(tmp_path / "ready.jsonl" if isinstance(option, list) else option)
    with pytest.raises(UsageError, match=said) as error:
        _run(tmp_path / "mine.jsonl", "--base", start, "--out", tmp_path / "out", *given)
    assert hint in str(error.value.hint)
    assert not (tmp_path / "out").exists()


def test_a_label_that_only_the_test_rows_have_is_refused(base: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(300, seed=1))
    write_rows(tmp_path / "test.jsonl", [*make_rows(20, seed=5), Row("一般 手机", "neutral")])
    with pytest.raises(UsageError, match="that are neutral, which nothing in train teaches") as error:
        _run(
            tmp_path / "mine.jsonl",
            "--base",
            base,
            "--out",
            tmp_path / "out",
            "--test",
            tmp_path / "test.jsonl",
        )
    assert error.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("found", "said"), [("splits/train.jsonl.gz", "holds splits"), ("run.json", "another command's")]
)
def test_a_folder_of_something_else_is_left_alone(start: Path, tmp_path: Path, found: str, said: str) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(300, seed=1))
    write_json(tmp_path / "out" / found, {"stage": "finetune"})
    before = _files(tmp_path / "out")
    with pytest.raises(UsageError, match=said) as error:
        _run(tmp_path / "mine.jsonl", "--base", start, "--out", tmp_path / "out")
    assert error.value.hint
    assert _files(tmp_path / "out") == before


def test_a_base_is_not_written_into(start: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(300, seed=1))
    with pytest.raises(UsageError, match="would take its place"):
        _run(tmp_path / "mine.jsonl", "--base", start, "--out", start)


def test_without_a_base_it_goes_on_from_the_shipped_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(300, seed=1))
    seen: list[Any] = []

    def stop(_: object, start: Any, *__: object, **___: object) -> None:
        seen.append(start)
        raise UsageError("seen")

    monkeypatch.setattr(own, "make_bundle", stop)
    with contextlib.suppress(UsageError):
        _run(tmp_path / "mine.jsonl", "--out", tmp_path / "out")
    assert seen[0].name.startswith("tagline-zh-en-small ")
    assert seen[0].max_tokens == 192
    assert not (tmp_path / "out").exists()


def test_few_rows_all_answered_right_leave_a_doubt() -> None:
    row = {"accuracy": 1.0, "macro_f1": 1.0, "ece": 0.1, "majority": 0.5, "rows": 30}
    none: dict[str, object] = {"name": "first", "sets": {}, "by_hand": {}}
    evaluation = {"sets": {"test": row}, "by_hand": {}, "base": none}
    shown = render({"name": "mine", "version": "1", "evaluation": evaluation})
    assert "| after: mine 1 | 100.00 ± 3.18 | 100.00 | 0.100 |\n" in shown
    assert "called neutral" not in shown
