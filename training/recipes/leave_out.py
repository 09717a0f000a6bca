"""Leave one category out: what a model makes of goods that it never read of, beside a model that did.

    rows ──► per category: held-out rows ──► one run without each category, one run on all ──► a table

Both models of a line learn from equally many rows and are scored on the same held-out rows of the category, so their difference
is the category and not the amount. Each run is in a process of its own (:mod:`training.recipes.apart`).
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from training.data import Row
from training.evaluate import linear_rows
from training.finetune import check_labels
from training.prepare import Prepared, deduplicate, take_share
from training.recipes.apart import Run, finetune_in_a_process, trained_apart
from training.runs import read_json, write_json
from training.sets import kind_of
from training.splits import split_file, splits_stand, write_splits
from worker.errors import UsageError

HELD_OUT = 0.3
"""Of every category's rows: scored, and trained on by nobody."""
FEWEST = 10
"""Rows of a category, so that some are held out and some are left."""
SEEN = "seen"


@dataclass(frozen=True)
class Line:
    """One category: how many of its rows are held out, and the accuracies on them. ``linear``: TF-IDF + logistic regression."""

    category: str
    rows: int
    left_out: float
    seen: float
    linear_left_out: float
    linear_seen: float


def split_categories(rows: Sequence[Row], *, limit: int | None, seed: int) -> tuple[list[str], Prepared]:
    """The categories in order, and the splits: ``test-N`` and ``without-N`` of the category at place N, and ``seen``.

    Of every category at most ``limit`` rows are used, those without label or category not at all. ``seen`` and all of
    ``without-N`` have as many rows as are left to train on without the largest category.

    :raises UsageError: the rows are of several kinds, there are fewer than two categories, one is too small to hold rows out, or
        without one some label is no longer taught.
    """
    known, copies, conflicts = deduplicate(row for row in rows if row.label is not None and row.category)
    categories = sorted({row.category for row in known})
    if len(categories) < 2:
        raise UsageError(
            f"the labelled rows have {len(categories)} categories, and leaving one out needs two or more",
            hint="say in a column `category` what goods a text is about",
        )
    kind_of(known)
    chooser = random.Random(seed)
    used = []
    for category in categories:
        own = [row for row in known if row.category == category]
        used += own if limit is None or len(own) <= limit else chooser.sample(own, limit)
    sizes = Counter(row.category for row in used)
    if small := [category for category in categories if sizes[category] < FEWEST]:
        raise UsageError(
            f"fewer than {FEWEST} rows, too few to hold any out: {', '.join(small)}",
            hint="leave these rows out, or put them into a wider category",
        )
    tests, left = take_share(used, round(HELD_OUT * len(used)), seed=seed)
    pools = {category: [row for row in left if row.category == category] for category in categories}
    size = len(left) - max(map(len, pools.values()))
    splits = {SEEN: chooser.sample(left, size)}
    for place, category in enumerate(categories):
        others = [row for other, pool in pools.items() if other != category for row in pool]
        splits[f"test-{place}"] = [row for row in tests if row.category == category]
        splits[f"without-{place}"] = chooser.sample(others, size)
    _check(categories, splits)
    counts = {name: len(part) for name, part in splits.items()}
    return categories, Prepared(
        splits, counts | {"copies_dropped": copies, "label_conflicts_dropped": conflicts}
    )


def _check(categories: Sequence[str], splits: Mapping[str, Sequence[Row]]) -> None:
    check_labels(splits[SEEN])
    for place, category in enumerate(categories):
        for name in (SEEN, f"without-{place}"):
            taught = {row.label for row in splits[name]}
            if lacking := {str(row.label) for row in splits[f"test-{place}"]} - taught:
                raise UsageError(
                    f"without {category} no row to train on is {', '.join(sorted(lacking))}",
                    hint="add such rows of other categories, or leave these rows out",
                )


def leave_out(
    rows: Sequence[Row],
    options: Sequence[str],
    out: Path,
    *,
    limit: int | None,
    seed: int,
    only: Sequence[str] = (),
    run: Run = finetune_in_a_process,
) -> list[Line]:
    """Train without each category (those of ``only``, where there are any) and on all; score each on its category's held-out
    rows.

    ``options`` are those of ``tagline train finetune`` that all runs share, ``--base`` among them. Finished runs in ``out`` are
    kept. Blocks for all trainings.

    :raises UsageError: as :func:`split_categories`; ``only`` names what is no category; ``out`` holds splits or runs of
        other rows or options; a run failed.
    """
    categories, prepared = split_categories(rows, limit=limit, seed=seed)
    if unknown := sorted({*only} - {*categories}):
        raise UsageError(
            f"no such categories: {', '.join(unknown)}", hint=f"there are {', '.join(categories)}"
        )
    folder, splits = out / "splits", prepared.splits
    if not splits_stand(folder, splits, made_from="the file and options give"):
        write_splits(folder, prepared)
    write_json(out / "categories.json", dict(enumerate(categories)))
    options = [*options, "--seed", str(seed)]

    def trained(
        name: str, title: str, tests: Sequence[str]
    ) -> tuple[Mapping[str, float], Mapping[str, float]]:
        files = [split_file(folder, test) for test in tests]
        scores = trained_apart(title, [str(split_file(folder, name)), *options], files, out / name, run)
        linear = out / name / "linear.json"
        if not linear.is_file():
            write_json(linear, linear_rows(splits[name], {test: splits[test] for test in tests}))
        return scores, read_json(linear)

    every = [f"test-{place}" for place in range(len(categories))]
    seen, linear_seen = trained(SEEN, "all categories", every)
    lines = []
    for place, category in enumerate(categories):
        if only and category not in only:
            continue
        test = every[place]
        left_out, linear = trained(f"without-{place}", f"without {category}", [test])
        lines.append(
            Line(category, len(splits[test]), left_out[test], seen[test], linear[test], linear_seen[test])
        )
    return lines


def render(lines: Sequence[Line]) -> str:
    """Markdown: a row a category, and their mean. Accuracies are per cent."""
    numbers = [(line.left_out, line.seen, line.linear_left_out, line.linear_seen) for line in lines]
    table = [
        "| category | rows | left out | seen | linear left out | linear seen |",
        "|---|---|---|---|---|---|",
        *(_row(line.category, line.rows, own) for line, own in zip(lines, numbers, strict=True)),
        _row(
            "mean", sum(line.rows for line in lines), [mean(column) for column in zip(*numbers, strict=True)]
        ),
    ]
    return "\n".join(table) + "\n"


def _row(name: str, rows: int, accuracies: Sequence[float]) -> str:
    return f"| {name} | {rows:,} | " + " | ".join(f"{100 * value:.2f}" for value in accuracies) + " |"
