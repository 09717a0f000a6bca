"""What a bundle of your own scored, beside what it must beat."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any


def render(manifest: Mapping[str, Any]) -> str:
    """Markdown from the manifest of a bundle of :func:`training.recipes.own.make_bundle`: a table for every set.

    Accuracy and macro-F1 are per cent. Behind ± stands one standard error of an accuracy on so many rows.
    """
    evaluation, name = manifest["evaluation"], f"{manifest['name']} {manifest['version']}"
    base = evaluation["base"]
    tables = []
    for group, which in (("sets", ""), ("by_hand", " (of a kind that your files lack)")):
        for title, row in evaluation[group].items():
            models = {"the commonest label always": {"accuracy": row["majority"]}}
            if "linear" in row:
                models["TF-IDF + logistic regression"] = {"accuracy": row["linear"]}
            if title in base[group]:
                models[f"before: {base['name']}"] = base[group][title]
            models[f"after: {name}"] = row
            tables.append(f"{title}, {row['rows']} rows{which}\n\n{_table(models, row['rows'])}")
    return "\n".join(tables)


def _table(models: Mapping[str, Mapping[str, Any]], rows: int) -> str:
    lines = [["", "accuracy", "macro-F1", "ECE", "called neutral"], ["---"] * 5]
    for name, row in models.items():
        lines.append(
            [
                name,
                f"{100 * row['accuracy']:.2f} ± {100 * _standard_error(row['accuracy'], rows):.2f}",
                f"{100 * row['macro_f1']:.2f}" if "macro_f1" in row else "",
                f"{row['ece']:.3f}" if "ece" in row else "",
                f"{100 * row['called_neutral']:.1f} %" if "called_neutral" in row else "",
            ]
        )
    if not any("called_neutral" in row for row in models.values()):
        lines = [line[:-1] for line in lines]
    return "".join(_line(cells) for cells in lines)


def _standard_error(accuracy: float, rows: int) -> float:
    """As if one row more were right and one more wrong, so that few rows, all of them right, leave a doubt."""
    share = (accuracy * rows + 1) / (rows + 2)
    return sqrt(share * (1 - share) / rows)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
