"""A table over runs and bundles: what each one is and what it scored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.names import distinct_names
from training.runs import read_json
from worker.classify.manifest import MANIFEST
from worker.errors import UsageError


def scores_of(path: Path) -> dict[str, dict[str, Any]]:
    """Scores by set: from ``scores.json`` (``evaluate``) or ``bundle.json`` in a folder.

    :raises UsageError: there are none.
    """
    found: dict[str, dict[str, Any]] = {}
    if (path / "scores.json").is_file():
        found = read_json(path / "scores.json")["sets"]
    elif (path / MANIFEST).is_file():
        found = read_json(path / MANIFEST).get("evaluation", {}).get("sets", {})
    if not found:
        raise UsageError(
            f"{path} holds no scores",
            hint="give the --out folder of `tagline train evaluate`, or a scored bundle",
        )
    return found


def compare(folders: Sequence[Path]) -> str:
    """Markdown: one row a folder, accuracy and macro-F1 (per cent) and ECE of every set that any of them has.

    :raises UsageError: a folder is given twice, or holds no scores.
    """
    found = {name: scores_of(folder) for name, folder in zip(distinct_names(folders), folders, strict=True)}
    names = sorted({name for scores in found.values() for name in scores})
    lines = ["| run | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for run, scores in found.items():
        cells = []
        for name in names:
            row = scores.get(name)
            cells.append(
                f"{100 * row['accuracy']:.2f} / {100 * row['macro_f1']:.2f} / {row['ece']:.3f}"
                if row
                else "-"
            )
        lines.append(f"| {run} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
