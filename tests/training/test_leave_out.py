"""Leaving a category out: the splits, and real runs of the command, in this process to be quick."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.commands import tagline_train
from tests.training.rows import make_rows
from training.cli import app
from training.data import Row, write_rows
from training.prepare import check_no_leak
from training.recipes import leave_out as module
from training.recipes.leave_out import leave_out, render, split_categories
from training.runs import read_json
from worker.errors import UsageError

GOODS = ("书", "手机", "衣服")
ROWS = [
    replace(row, category=GOODS[place % 3], source="mine") for place, row in enumerate(make_rows(150, seed=1))
]
runs: list[Sequence[str]] = []


def _here(arguments: Sequence[str]) -> None:
    runs.append(arguments)
    tagline_train("finetune", *arguments)


def test_the_left_out_category_is_not_trained_on_and_all_models_have_as_many_rows() -> None:
    more = [replace(row, category="书") for row in make_rows(90, seed=2) if row not in ROWS]
    categories, prepared = split_categories(
        [*ROWS, *more, Row("手机 ?", None, category="书")], limit=None, seed=0
    )
    assert categories == sorted(GOODS)
    splits = prepared.splits
    for place, category in enumerate(categories):
        without, test = splits[f"without-{place}"], splits[f"test-{place}"]
        assert {row.category for row in without} == {*GOODS} - {category}
        assert {row.category for row in test} == {category}
        assert 0.2 < len(test) / sum(row.category == category for row in [*ROWS, *more]) < 0.4
        check_no_leak({"without": without, "test": test})
        check_no_leak({"seen": splits["seen"], "test": test})
    assert {row.category for row in splits["seen"]} == {*GOODS}
    assert len({len(rows) for name, rows in splits.items() if not name.startswith("test")}) == 1
    assert split_categories(ROWS, limit=None, seed=0)[1] == split_categories(ROWS, limit=None, seed=0)[1]
    assert split_categories(ROWS, limit=None, seed=0)[1] != split_categories(ROWS, limit=None, seed=1)[1]
    few = split_categories(ROWS, limit=20, seed=0)[1].splits
    assert set(Counter(row.category for name in few if "test" in name for row in few[name]).values()) <= {
        5,
        6,
        7,
    }


OPTIONS = ("--epochs", "2", "--lr", "2e-3", "--max-tokens", "32", "--batch-tokens", "256")


def test_every_category_is_scored_by_a_model_without_it_and_by_one_that_saw_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.clear()
    options, out = ["--base", str(base), *OPTIONS], tmp_path / "runs"
    part = leave_out(ROWS, options, out, limit=None, seed=0, only=["书"], run=_here)
    assert [line.category for line in part] == ["书"]
    assert len(runs) == 2  # the one that saw all, and the one without
    lines = leave_out(ROWS, options, out, limit=None, seed=0, run=_here)
    assert [line.category for line in lines] == sorted(GOODS)
    assert lines[0] == part[0]
    assert len(runs) == 4  # those that stood were kept
    for place, line in enumerate(lines):
        told = read_json(out / f"without-{place}" / "before_after.json")["after"]
        assert line.left_out == told["accuracy"] == told[f"test-{place}"]
        assert line.seen == read_json(out / "seen" / "before_after.json")["after"][f"test-{place}"]
        assert 0 <= line.linear_left_out <= 1
        assert read_json(out / f"without-{place}" / "run.json")["options"]["rows"] == len(
            split_categories(ROWS, limit=None, seed=0)[1].splits["seen"]
        )
    table = render(lines).splitlines()
    assert table[0] == "| category | rows | left out | seen | linear left out | linear seen |"
    assert len(table) == 6
    assert f"| {100 * sum(line.seen for line in lines) / 3:.2f} |" in table[-1]
    # Another option, other rows and another draw are not taken for these.
    with pytest.raises(UsageError, match=r"differs in --epochs$"):
        leave_out(ROWS, [*options, "--epochs", "3"], out, limit=None, seed=0, run=_here)
    for rows, limit, seed in ((ROWS[:-1], None, 0), (ROWS, 20, 0), (ROWS, None, 1)):
        with pytest.raises(UsageError, match="has other rows than the file and options give"):
            leave_out(rows, options, out, limit=limit, seed=seed, run=_here)
    assert len(runs) == 4
    # The command is this.
    monkeypatch.setattr(module, "finetune_in_a_process", _here)
    write_rows(tmp_path / "mine.jsonl", ROWS)
    monkeypatch.setattr(
        module.leave_out, "__kwdefaults__", {**(module.leave_out.__kwdefaults__ or {}), "run": _here}
    )
    printed = CliRunner().invoke(
        app,
        [
            "leave-out",
            str(tmp_path / "mine.jsonl"),
            "--out",
            str(tmp_path / "again"),
            *options,
            "--only",
            "书",
        ],
        catch_exceptions=False,
    )
    assert printed.exit_code == 0, printed.output
    assert (tmp_path / "again" / "leave-out.md").read_text(encoding="utf-8") in printed.output
    assert "| 书 | " in printed.output


@pytest.mark.parametrize(
    ("rows", "only", "said"),
    [
        ([replace(row, category="书") for row in ROWS], (), "have 1 categories"),
        ([replace(row, category="") for row in ROWS], (), "have 0 categories"),
        (ROWS, ("电脑",), "no such categories: 电脑"),
        ([*ROWS, Row("好 电脑", "positive", "title", "电脑")], (), "must be of one kind"),
        ([*ROWS, *(Row(f"一般 书 {n}", "neutral", category="书") for n in range(20))], (), "no row to train on is neutral"),
        ([*ROWS, Row("好 电脑", "positive", category="电脑")], (), "too few to hold any out: 电脑"),
    ],
    ids=["one", "none", "unknown", "two kinds", "a label", "small"],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_before_anything_is_written(
    tmp_path: Path, rows: list[Row], only: Sequence[str], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as error:
        leave_out(rows, [], tmp_path / "out", limit=None, seed=0, only=only, run=_here)
    assert error.value.hint
    assert not (tmp_path / "out").exists()
