"""What a report says, as plain data: scores of every model on every set, baselines, calibration, speed."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.baseline import LinearBaseline, majority_accuracy
from training.data import Row
from training.metrics import Floats, Ints, Scores, confusion, reliability, score
from training.prepare import text_key
from training.scorer import Scorer, labels_for
from training.sets import gold_of, labels_of_set
from worker.errors import UsageError

FEWEST_IN_CATEGORY = 20
"""Smaller categories are counted in the whole, not shown: one text would be five points."""
SPEED_ROWS = 256
SINGLE_ROWS = 24


@dataclass(frozen=True)
class SetResult:
    """One model on one set. ``matrix`` [gold, answered]; ``curve`` is (confidence, accuracy, count), each [bins]."""

    scores: Scores
    labels: tuple[str, ...]
    majority: float
    linear: float | None
    matrix: Ints
    curve: tuple[Floats, Floats, Ints]
    categories: Mapping[str, Scores]

    @property
    def two_errors(self) -> float:
        """Two standard errors of the accuracy, 0 to 1, for this many rows."""
        accuracy = self.scores.accuracy
        return float(2 * (accuracy * (1 - accuracy) / max(1, self.scores.rows)) ** 0.5)


@dataclass(frozen=True)
class Speed:
    """Texts a second in one call of many, and the median milliseconds of a text alone, with this process's threads."""

    texts_per_s: float
    single_ms: float


@dataclass(frozen=True)
class ModelResult:
    """One model on all sets that it can answer."""

    name: str
    details: Mapping[str, str]
    sets: Mapping[str, SetResult]
    contaminated: Mapping[str, SetResult]
    speed: Speed | None


def split_contaminated(
    sets: Mapping[str, Sequence[Row]], trained_on: Sequence[Row]
) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
    """(Rows whose text was never trained on, rows whose text was), by set; sets that come out empty are left out."""
    seen = {text_key(row.text) for row in trained_on}
    clean, contaminated = {}, {}
    for name, rows in sets.items():
        apart = [text_key(row.text) in seen for row in rows]
        clean[name] = [row for row, known in zip(rows, apart, strict=True) if not known]
        contaminated[name] = [row for row, known in zip(rows, apart, strict=True) if known]
    return (
        {name: rows for name, rows in clean.items() if rows},
        {name: rows for name, rows in contaminated.items() if rows},
    )


def with_category_sets(sets: Mapping[str, Sequence[Row]], parts: Mapping[str, str]) -> dict[str, list[Row]]:
    """The sets, and before each the part of it that ``parts`` names: {"chn": "clean"} adds ``chn_clean``.

    :raises UsageError: a part is of no set, or a set has no row of that category.
    """
    unknown = [name for name in parts if name not in sets]
    if unknown:
        raise UsageError(f"there is no set `{unknown[0]}`", hint=f"there are {', '.join(sets)}")
    result: dict[str, list[Row]] = {}
    for name, rows in sets.items():
        if name in parts:
            chosen = [replace(row, category="") for row in rows if row.category == parts[name]]
            if not chosen:
                raise UsageError(f"the set `{name}` has no row of the category `{parts[name]}`")
            result[f"{name}_{parts[name]}"] = chosen
        result[name] = list(rows)
    return result


def linear_accuracies(trained_on: Sequence[Row], sets: Mapping[str, Sequence[Row]]) -> dict[str, float]:
    """Accuracy of TF-IDF + logistic regression for every set, one model a kind, its copies of test rows left out."""
    held = {text_key(row.text) for rows in sets.values() for row in rows}
    usable = [row for row in trained_on if row.label is not None and text_key(row.text) not in held]
    result: dict[str, float] = {}
    for kind in sorted({rows[0].kind for rows in sets.values()}):
        own = [row for row in usable if row.kind == kind]
        if len({row.label for row in own}) < 2:
            continue
        baseline = LinearBaseline.fit(own)
        for name, rows in sets.items():
            if rows[0].kind == kind:
                result[name] = baseline.accuracy(rows)
    return result


def measure(
    scorer: Scorer,
    sets: Mapping[str, Sequence[Row]],
    *,
    contaminated: Mapping[str, Sequence[Row]] | None = None,
    linear: Mapping[str, float] | None = None,
    speed: bool = True,
) -> ModelResult:
    """Score one model. Sets of kinds that it does not answer are left out. Blocks for one pass over all rows.

    :raises UsageError: no set is left.
    """
    known = {name: rows for name, rows in sets.items() if rows[0].kind in scorer.labels}
    if not known:
        raise UsageError(
            f"no set is left to score {scorer.name} on",
            hint=f"it answers texts of kind {', '.join(scorer.labels)}, and rows that it was trained on do not count",
        )
    results = {name: result_of(scorer, rows, (linear or {}).get(name)) for name, rows in known.items()}
    seen = {
        name: result_of(scorer, rows, None)
        for name, rows in (contaminated or {}).items()
        if rows[0].kind in scorer.labels
    }
    some = next(iter(known.values()))
    return ModelResult(
        scorer.name, scorer.details, results, seen, time_scorer(scorer, some) if speed else None
    )


def result_of(scorer: Scorer, rows: Sequence[Row], linear: float | None) -> SetResult:
    """All scores of one set of one kind."""
    labels = labels_of_set(rows, labels_for(scorer, rows[0].kind))
    gold = gold_of(rows, labels)
    probabilities = scorer.probabilities(rows, labels)
    member = np.array([row.category for row in rows])
    counts = {str(name): int((member == name).sum()) for name in np.unique(member) if name}
    shown = [name for name, count in counts.items() if count >= FEWEST_IN_CATEGORY]
    return SetResult(
        scores=score(probabilities, gold, labels),
        labels=labels,
        majority=majority_accuracy([str(row.label) for row in rows]),
        linear=linear,
        matrix=confusion(probabilities, gold),
        curve=reliability(probabilities, gold),
        categories={
            name: score(probabilities[member == name], gold[member == name], labels)
            for name in (shown if len(counts) > 1 else [])
        },
    )


def time_scorer(scorer: Scorer, rows: Sequence[Row]) -> Speed:
    """Time a scorer on rows of a set, after one call that nobody times."""
    many, labels = list(rows[:SPEED_ROWS]), labels_for(scorer, rows[0].kind)
    scorer.probabilities(many[:8], labels)
    start = time.perf_counter()
    scorer.probabilities(many, labels)
    batch_s = time.perf_counter() - start
    singles = []
    for row in many[:SINGLE_ROWS]:
        start = time.perf_counter()
        scorer.probabilities([row], labels)
        singles.append(1_000 * (time.perf_counter() - start))
    return Speed(len(many) / batch_s, statistics.median(singles))


def all_sets(results: Sequence[ModelResult]) -> dict[str, SetResult]:
    """The sets that any of the models answers, each with what the first of these made of it."""
    names = dict.fromkeys(name for result in results for name in result.sets)
    return {name: next(result.sets[name] for result in results if name in result.sets) for name in names}


def over_seeds(results: Sequence[ModelResult]) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and sample standard deviation of accuracy, macro-F1 and ECE over runs that differ by their seed, by set."""
    shared = [name for name in results[0].sets if all(name in result.sets for result in results)]
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for name in shared:
        own = [result.sets[name].scores for result in results]
        table[name] = {
            metric: (statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0)
            for metric in ("accuracy", "macro_f1", "ece")
            for values in [[float(getattr(one, metric)) for one in own]]
        }
    return table
