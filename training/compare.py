"""A table over runs and bundles: what each one is and what it scored."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from training.names import distinct_names
from training.runs import read_json
from worker.classify.manifest import MANIFEST
from worker.errors import UsageError
from worker.files import is_file


def scores_of(path: Path) -> dict[str, dict[str, Any]]:
    """Scores by set: from ``scores.json`` (``evaluate``) or ``bundle.json`` in a folder.

    :raises UsageError: there are none.
    :raises PermissionError: this user may not look into the folder.
    """
    found: dict[str, dict[str, Any]] = {}
    if is_file(path / "scores.json"):
        found = read_json(path / "scores.json")["sets"]
    elif is_file(path / MANIFEST):
        found = read_json(path / MANIFEST).get("evaluation", {}).get("sets", {})
    if not found:
        raise UsageError(
            f"{path} holds no scores",
            hint="give the --out folder of `tagline train evaluate`, or a scored bundle",
        )
    return found


def compare(folders: Sequence[Path], *, spread: bool = False) -> str:
    """Markdown: one row a folder, accuracy and macro-F1 (per cent) and ECE of every set that any of them has.

    ``spread``: one more row, over the folders, which then are runs of one recipe under several seeds: mean and sample standard
    deviation of every set that all of them have.

    :raises UsageError: a folder is given twice, or holds no scores; a spread of fewer than two.
    """
    if spread and len(folders) < 2:
        raise UsageError(
            "--spread needs two runs or more", hint="leave it out, or give one folder for each seed"
        )
    found = {name: scores_of(folder) for name, folder in zip(distinct_names(folders), folders, strict=True)}
    names = sorted({name for scores in found.values() for name in scores})
    lines = ["| run | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for run, scores in found.items():
        lines.append(_line(run, [_cell(scores.get(name)) for name in names]))
    if spread:
        rows = {name: [scores[name] for scores in found.values() if name in scores] for name in names}
        cells = [_spread(rows[name]) if len(rows[name]) == len(found) else "-" for name in names]
        lines.append(_line(f"mean ± s.d. of {len(found)}", cells))
    return "\n".join(lines) + "\n"


def _line(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


def _cell(row: dict[str, Any] | None) -> str:
    return f"{100 * row['accuracy']:.2f} / {100 * row['macro_f1']:.2f} / {row['ece']:.3f}" if row else "-"


def _spread(rows: Sequence[dict[str, Any]]) -> str:
    measures = (("accuracy", 100, 2), ("macro_f1", 100, 2), ("ece", 1, 3))
    parts = []
    for measure, scale, digits in measures:
        values = [scale * row[measure] for row in rows]
        parts.append(f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}")
    return " / ".join(parts)
