import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.training.commands import tagline_train
from tests.training.rows import make_rows
from training.data import Row, write_rows
from training.export import ExportConfig, export_bundle
from training.finetune import FinetuneConfig, finetune
from training.scorer import open_scorer
from training.sets import gold_of, labels_of_set
from training.train_config import TrainConfig
from worker.errors import UsageError

QUICK = TrainConfig(epochs=6, lr=2e-3, tokens_per_batch=256, precision="float32", seed=3)
TITLES = [
    Row(f"{word} 手机 {number}", tone, "title")
    for number in range(12)
    for word, tone in (("二手", "negative"), ("爆款", "positive"), ("书", "neutral"))
]


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reported")
    finetune(
        str(base), [*make_rows(240, seed=1), *TITLES], {}, out, FinetuneConfig(train=QUICK, max_tokens=32)
    )
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle")
    export_bundle(run / "model", out, ExportConfig("tiny", "1", 32, neutral_share=0.2, canaries=()))
    return out


def test_a_bundle_and_the_run_that_it_came_from_answer_alike(run: Path, bundle: Path) -> None:
    served, trained = open_scorer(bundle), open_scorer(run, max_tokens=32)
    for rows in (make_rows(40, seed=2), TITLES):
        labels = labels_of_set(rows, served.labels[rows[0].kind])
        left, right = served.probabilities(rows, labels), trained.probabilities(rows, labels)
        assert np.allclose(left.sum(1), 1, atol=1e-5)
        assert np.abs(left - right).max() < 0.05  # int8 rows and, where it is faster, bfloat16
        assert (left.argmax(1) == right.argmax(1)).mean() > 0.95


def test_a_report_has_a_page_and_small_plots(bundle: Path, run: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "test_shop.jsonl.gz", make_rows(60, seed=2))
    write_rows(tmp_path / "titles.jsonl", TITLES)
    write_rows(tmp_path / "train.jsonl", make_rows(60, seed=2)[:5])
    write_rows(tmp_path / "more.jsonl", make_rows(240, seed=1))
    out = tmp_path / "report"
    tagline_train(
        "report", bundle, run, "--sets", tmp_path / "test_shop.jsonl.gz", "--sets", tmp_path / "titles.jsonl",
        "--train", tmp_path / "train.jsonl", "--train", tmp_path / "more.jsonl", "--out", out,
    )  # fmt: skip
    page = (out / "report.md").read_text(encoding="utf-8")
    for part in (
        "tiny 1",
        "TF-IDF + logistic regression",
        "majority class",
        "trained on",
        "titles",
    ):
        assert part in page
    assert str(tmp_path) not in page
    for name in ("accuracy.png", "reliability.png", "confusion.png"):
        assert name in page
        assert 1_000 < (out / name).stat().st_size < 100_000


def test_models_of_one_report_have_names_of_their_own(bundle: Path, run: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "shop.jsonl", make_rows(12, seed=2))
    folders = [tmp_path / name for name in ("one", "two", "x/one", "old", "new", "run/model")]
    for folder, source in zip(folders, [run / "model"] * 3 + [bundle] * 2 + [run / "model"], strict=True):
        shutil.copytree(source, folder)
    tagline_train("report", *folders, "--sets", tmp_path / "shop.jsonl", "--out", tmp_path / "report")
    page = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    for name in (f"one ({tmp_path.name}/one)", "two", "one (x/one)", "tiny 1 (old)", "tiny 1 (new)", "run"):
        assert f"| {name} |" in page


def test_a_report_names_the_sets_that_it_does_not_draw_and_writes_all_matrices(
    bundle: Path, tmp_path: Path
) -> None:
    sets = [f"shop{number}" for number in range(9)]
    for number, name in enumerate(sets):
        write_rows(tmp_path / f"{name}.jsonl", make_rows(12, seed=20 + number))
    given = [part for name in sets for part in ("--sets", tmp_path / f"{name}.jsonl")]
    tagline_train("report", bundle, *given, "--out", tmp_path / "report")
    page = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert page.count("Not drawn: shop8.") == 2
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| shop8 | ")]
    counts = [cells[2:] for cells in rows if cells[1] in ("negative", "positive")]
    assert len(counts) == 2
    assert sum(int(cell.rstrip(" |")) for cells in counts for cell in cells) == 12


def test_a_report_refuses_parts_that_name_no_set(bundle: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "test_shop.jsonl.gz", make_rows(30, seed=2))
    for part, told in (("clean", "not SET=CATEGORY"), ("test_shop=clean", "no set `test_shop`")):
        with pytest.raises(UsageError, match=told) as error:
            tagline_train(
                "report", bundle, "--sets", tmp_path / "test_shop.jsonl.gz", "--clean", part, "--out", tmp_path / "report",
            )  # fmt: skip
        assert error.value.hint
    assert not (tmp_path / "report").exists()


def test_a_report_on_no_set_that_the_model_answers_is_refused(bundle: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "ads.jsonl", [Row("好", "positive", "ad")])
    with pytest.raises(UsageError, match="no set is left"):
        tagline_train("report", bundle, "--sets", tmp_path / "ads.jsonl", "--out", tmp_path / "report")
    with pytest.raises(UsageError, match="kind `ad`"):
        tagline_train("robustness", bundle, "--sets", tmp_path / "ads.jsonl")


def test_robustness_prints_both_tables(bundle: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "shop.jsonl", make_rows(60, seed=2))
    table = tmp_path / "new" / "table.md"
    printed = tagline_train("robustness", bundle, "--sets", tmp_path / "shop.jsonl", "--out", table)
    assert "| shop | zero-width | 60 |" in printed
    assert "| negation | zh |" in printed
    assert printed.endswith(table.read_text(encoding="utf-8"))


def test_texts_are_explained_on_the_command_line(bundle: Path) -> None:
    printed = tagline_train("attribute", bundle, "the hotel is awful", "--steps", 8)
    assert "| the hotel is awful | negative |" in printed


def test_titles_are_scored_beside_the_functions(bundle: Path) -> None:
    printed = tagline_train("titles", "--model", bundle)
    assert "| held_out |" in printed
    assert "| tiny 1 |" in printed


def test_a_folder_that_holds_no_model_and_a_foreign_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither"):
        open_scorer(tmp_path)
    with pytest.raises(UsageError, match="labels"):
        gold_of([Row("a", "splendid")], ("negative", "positive"))
