"""What the commands of training refuse before they begin."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.commands import tagline_train
from tests.training.rows import make_rows
from training import model as models
from training.cli import app
from training.data import Row, write_rows
from training.export import ExportConfig, export_bundle
from training.model import Columns
from training.runs import write_json
from worker.classify.answers import LABELS
from worker.errors import UsageError

runner = CliRunner()


def test_an_unknown_option_is_an_error() -> None:
    result = runner.invoke(app, ["finetune", "x.jsonl", "--base", "b", "--out", "o", "--learning-speed", "3"])
    assert result.exit_code == 2


def test_finetuning_refuses_a_leak(base: Path, tmp_path: Path) -> None:
    from training.prepare import LeakError

    write_rows(tmp_path / "a.jsonl", make_rows(20, seed=1))
    write_rows(tmp_path / "b.jsonl", make_rows(20, seed=1)[:1])
    with pytest.raises(LeakError):
        tagline_train(
            "finetune",
            tmp_path / "a.jsonl",
            "--base",
            base,
            "--out",
            tmp_path,
            "--validation",
            tmp_path / "b.jsonl",
        )


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\n")
    with pytest.raises(UsageError, match=r"x\.csv has no rows"):
        tagline_train("prepare", tmp_path / "x.csv", "--out", tmp_path)


def test_files_without_labels_or_with_foreign_ones_are_refused_before_training(tmp_path: Path) -> None:
    for content, said, remedy in (
        ("text,sentiment\nfine,1\n", "no labelled row: its columns are text, sentiment", "labels `label`"),
        ("text,label\nfine,\n", "no labelled row: its columns are text, label", "fill its column `label`"),
        ("", "has no rows", "leave it out"),
        ("text,label\na,positive\nb,好评\n", "no worker can serve", "--label '好评'=MEANING"),
        ("text,label\na,5 stars\nb,1 stars\n", "no worker can serve", "--label '1 stars'=MEANING"),
        ("text,label\na,1\nb,5\n", "do not say what they mean", "--label 5=positive"),
        (
            "text,label,kind\na,1,Shoes\nb,0,Shoes\nc,1,Phones\nd,0,Phones\n",
            "texts of kind `phones`",
            "`category`",
        ),
    ):
        (tmp_path / "x.csv").write_text(content)
        with pytest.raises(UsageError, match=said) as error:
            tagline_train(
                "finetune", tmp_path / "x.csv", "--base", tmp_path / "none", "--out", tmp_path / "run"
            )
        assert remedy in str(error.value.hint)
        with pytest.raises(UsageError):
            tagline_train("evaluate", tmp_path / "x.csv", "--model", tmp_path, "--out", tmp_path / "run")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--minutes", "0"),
        ("--patience", "-1"),
        ("--lr", "0"),
        ("--lr", "-1e-4"),
        ("--layer-decay", "0"),
        ("--layer-decay", "1.1"),
        ("--clip-norm", "0"),
        ("--epochs", "inf"),
        ("--seed", "99999999999999999999"),
    ],
)
def test_what_makes_no_sense_is_refused(option: str, value: str) -> None:
    result = runner.invoke(app, ["finetune", "x.jsonl", "--base", "b", "--out", "o", option, value])
    assert result.exit_code == 2
    assert "No such option" not in result.output


def test_a_file_in_which_nobody_labelled_a_row_is_not_prepared(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(20, seed=1))
    (tmp_path / "theirs.csv").write_text("text,sentiment\nfine,1\n")
    for files in (("theirs.csv",), ("mine.jsonl", "theirs.csv"), ("mine.jsonl", "--test", "theirs.csv")):
        paths = [part if part.startswith("--") else tmp_path / part for part in files]
        with pytest.raises(
            UsageError, match=r"theirs\.csv has no labelled row: its columns are text, sentiment"
        ):
            tagline_train("prepare", *paths, "--out", tmp_path / "splits")
    assert not (tmp_path / "splits").exists()


def test_a_split_without_rows_to_train_on_is_warned_of(tmp_path: Path) -> None:
    mine, held_out = tmp_path / "mine.jsonl", tmp_path / "held_out.jsonl"
    write_rows(mine, make_rows(20, seed=1))
    shutil.copy(mine, held_out)
    assert "warning: no row is left to train on" in tagline_train(
        "prepare", mine, "--out", tmp_path, "--test", held_out
    )
    assert "left to train on" not in tagline_train("prepare", mine, "--out", tmp_path)


def test_one_label_alone_leaves_nothing_to_learn(base: Path, tmp_path: Path) -> None:
    rows = [*make_rows(20, seed=1), *(Row(f"爆款 {number}", "positive", "title") for number in range(4))]
    write_rows(tmp_path / "mine.jsonl", rows)
    with pytest.raises(UsageError, match="all training rows of kind `title` are positive"):
        tagline_train("finetune", tmp_path / "mine.jsonl", "--base", base, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_rank_is_refused_where_nothing_has_one(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(20, seed=1))
    for method in ("full", "adapters", "prefix"):
        with pytest.raises(UsageError, match="--rank is for --method lora and adalora"):
            tagline_train(
                "finetune", tmp_path / "mine.jsonl", "--base", tmp_path, "--out", tmp_path / "run", "--rank", 4,
                "--method", method,
            )  # fmt: skip


@pytest.fixture(scope="module")
def inputs(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run (`run`), a bundle (`bundle`) and splits (`splits`), each as its command leaves them."""
    folder = tmp_path_factory.mktemp("inputs")
    both = Columns({"review": LABELS, "title": LABELS})
    models.save(models.build(str(base), both), models.load_tokenizer(base), both, folder / "run" / "model")
    write_json(folder / "run" / "run.json", {})
    export_bundle(folder / "run", folder / "bundle", ExportConfig("tiny", "1", 32, canaries=()))
    write_rows(
        folder / "titles.jsonl",
        [Row(f"{word} {n}", None, "title") for n in range(9) for word in ("二手", "爆款", "书")],
    )
    write_rows(folder / "splits" / "train.jsonl.gz", make_rows(20, seed=1))
    write_rows(folder / "splits" / "test.jsonl.gz", make_rows(9, seed=2))
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "prepare splits/train.jsonl.gz --out splits",
        "prepare titles.jsonl --test splits/test.jsonl.gz --out splits",
        "unpack bundle --out bundle",
        "export --model run --out run/model --name a",
        "export --model run/model --out run --name a",
        "prune titles.jsonl --model run --pieces 60 --out run/model",
        "quantise --model run/model --out run/model",
        "quantise --model run --out linked/model",
        "refit-titles titles.jsonl --model run --out run",
        "evaluate splits/test.jsonl.gz --model run --out run",
        "robustness run --sets splits/test.jsonl.gz --out splits/test.jsonl.gz",
        "pretrain titles.jsonl --base run/model --out run",
        "finetune splits/train.jsonl.gz --base run/model --out run",
        "distil splits/train.jsonl.gz --teacher run --layers 1,3 --out run",
    ],
)  # fmt: skip
def test_what_is_read_is_not_written_over(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    shutil.copytree(inputs, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    Path("linked").symlink_to("run")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="would take its place") as error:
        tagline_train(*command.split())
    assert "--out" in str(error.value.hint)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "command",
    [
        "prepare mine.jsonl linked.jsonl --out out",
        "prepare mine.jsonl --test linked.jsonl --out out",
        "prepare other.jsonl --test mine.jsonl --validation ./mine.jsonl --out out",
        "bundle mine.jsonl mine.jsonl --base bundle --out out",
        "bundle mine.jsonl other.jsonl --validation mine.jsonl --base bundle --out out",
        "pretrain mine.jsonl other.jsonl linked.jsonl --base run/model --out out",
        "finetune mine.jsonl linked.jsonl --base run/model --out out",
        "finetune mine.jsonl --validation mine.jsonl --base run/model --out out",
        "distil mine.jsonl linked.jsonl --teacher run --layers 1,3 --out out",
        "distil mine.jsonl --validation mine.jsonl --teacher run --layers 1,3 --out out",
        "recipes mine.jsonl linked.jsonl --test other.jsonl --base run/model --out out",
        "evaluate other.jsonl --train mine.jsonl --train linked.jsonl --model run --out out",
        "prune mine.jsonl mine.jsonl --model run --pieces 60 --out out",
        "forms mine.jsonl --calibration linked.jsonl --model run",
        "export --validation mine.jsonl --doubtful linked.jsonl --model run --name a --out out",
        "report run --sets other.jsonl --train mine.jsonl --train mine.jsonl --out out",
        "refit-titles titles.jsonl ../here/titles.jsonl --model run --out out",
    ],
)  # fmt: skip
def test_a_file_counts_once_and_is_trained_on_or_held_out(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    shutil.copytree(inputs, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    write_rows(Path("mine.jsonl"), make_rows(40, seed=1))
    write_rows(Path("other.jsonl"), make_rows(40, seed=2))
    Path("linked.jsonl").symlink_to("mine.jsonl")
    with pytest.raises(UsageError, match="is given twice") as error:
        tagline_train(*command.split())
    assert "counts once" in str(error.value.hint)
    assert not Path("out").exists()


def test_a_neutral_share_is_refused_where_every_kind_has_a_neutral_label(
    inputs: Path, tmp_path: Path
) -> None:
    call = ("export", "--model", inputs / "run", "--name", "a", "--neutral-share", 0.1)
    with pytest.raises(UsageError, match="--neutral-share would do nothing"):
        tagline_train(*call, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_without_label_are_counted(base: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", [*make_rows(20, seed=1), Row("手机 ?"), Row("书 ?")])
    files = (tmp_path / "mine.jsonl", "--out", tmp_path / "out")
    printed = tagline_train("finetune", *files, "--base", base, "--epochs", 0.1, "--max-tokens", 32)
    assert "2 of 22 rows have no label and are left out" in printed
    printed = tagline_train("prepare", *files, "--validation-share", 0, "--test-share", 0)
    assert "train: 22, 2 of them without label\n" in printed


def test_options_that_would_do_nothing_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", make_rows(4, seed=1))
    mine = tmp_path / "mine.jsonl"
    for command in (
        ("prepare", mine, "--out", tmp_path, "--test", mine, "--test-share", 0.1),
        ("prepare", mine, "--out", tmp_path, "--validation", mine, "--validation-share", 0.1),
        ("titles", "--max-tokens", 32),
    ):
        with pytest.raises(UsageError) as error:
            tagline_train(*command)
        assert "leave" in str(error.value.hint)


@pytest.mark.parametrize(
    "command",
    [
        "prepare mine.jsonl --out taken",
        "pretrain mine.jsonl --base base --out taken",
        "finetune mine.jsonl --base base --out taken",
        "distil mine.jsonl --teacher base --layers 1 --out taken",
        "bundle mine.jsonl --out taken",
        "recipes mine.jsonl --test mine.jsonl --base base --out taken",
        "leave-out mine.jsonl --base base --out taken",
        "reproduce --data . --base base --out runs --bundle taken",
        "prune mine.jsonl --model base --pieces 9 --out taken",
        "quantise --model base --out taken",
        "evaluate mine.jsonl --model base --out taken",
        "export --model base --name a --out taken",
        "unpack base --out taken",
        "report base --sets mine.jsonl --out taken",
        "report base --sets mine.jsonl --out runs --linear none.json",
        "robustness base --sets mine.jsonl --out base",
        "refit-titles mine.jsonl --model base --out taken",
    ],
)
def test_a_file_where_a_folder_belongs_is_refused_and_so_is_the_reverse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("kept")
    Path("base").mkdir()
    result = runner.invoke(app, command.split())
    assert result.exit_code == 2, result.output
    assert any(word in result.output for word in ("is a file", "is a directory", "does not exist"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "taken"]


@pytest.mark.parametrize(
    "command",
    [
        "bundle mine.jsonl --out runs",
        "recipes mine.jsonl --test mine.jsonl --base base --out runs",
        "leave-out mine.jsonl --base base --out runs",
        "reproduce --data . --base base --out runs --bundle made",
    ],
)
def test_torchrun_is_refused_by_what_does_not_divide_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="2 processes would do the same") as error:
        tagline_train(*command.split())
    assert "torchrun" in str(error.value.hint)
    assert not list(tmp_path.iterdir())
