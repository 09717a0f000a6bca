"""One table over the recipes: the same rows, encoder and seeds, each run in a process of its own (:mod:`training.recipes.apart`).

What a recipe costs and gains shows only beside the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from training import model as models
from training.data import Row
from training.evaluate import logits_on
from training.metrics import Floats, accuracy
from training.predict import probabilities_of
from training.recipes.apart import Run, finetune_in_a_process, trained_apart
from training.recipes.ensemble import average_probabilities, soup
from training.runs import read_json
from training.sets import gold_of, labels_of_set
from worker.errors import UsageError

PLAIN = "full"
RECIPES: Mapping[str, tuple[str, ...]] = {
    PLAIN: (),
    "label smoothing 0.1": ("--label-smoothing", "0.1"),
    "dropout 0.1": ("--dropout", "0.1"),
    "R-Drop 1, dropout 0.1": ("--r-drop", "1", "--dropout", "0.1"),
    "FGM": ("--adversarial", "fgm"),
    "PGD": ("--adversarial", "pgd"),
    "augmented, 1 copy": ("--augment", "1"),
    "layer decay 0.9": ("--layer-decay", "0.9"),
    "weight average 0.99": ("--average-decay", "0.99"),
    "Adafactor": ("--optimiser", "adafactor", "--lr", "1e-3"),
    "SGD": ("--optimiser", "sgd", "--lr", "0.02"),
    "LoRA, rank 8": ("--method", "lora", "--lr", "1e-3"),
    "AdaLoRA, rank 8": ("--method", "adalora", "--lr", "2e-3"),
    "adapters": ("--method", "adapters", "--lr", "1e-3"),
    "prefix": ("--method", "prefix", "--lr", "5e-3"),
    "top 4 layers": ("--freezing", "top", "--top-layers", "4"),
    "head only": ("--freezing", "head", "--lr", "2e-3"),
}
"""Name -> options of ``tagline train finetune``. A later ``--lr`` overrules the table's common one."""


@dataclass(frozen=True)
class Line:
    """One row of the table. Accuracies are those of the seeds, in order; costs are means over them."""

    name: str
    accuracies: tuple[float, ...]
    trainable: int
    seconds: float
    resident_mib: float


def run_recipes(
    names: Sequence[str],
    common: Sequence[str],
    test: Path,
    out: Path,
    *,
    seeds: int,
    run: Run = finetune_in_a_process,
) -> list[Line]:
    """Train every recipe under every seed and score it on ``test``. Runs whose folder is complete are not repeated.

    ``common`` are the arguments that all share: the training files, then the base, epochs and the like.

    :raises UsageError: a name is unknown, a run failed, or a folder holds a run with other options or other data.
    """
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        raise UsageError(f"unknown recipes: {', '.join(unknown)}", hint=f"known: {', '.join(RECIPES)}")
    lines = []
    for name in names:
        folders = [folder_of(out, name, seed) for seed in range(seeds)]
        scores = [
            trained_apart(
                f"{name}, seed {seed}", [*common, "--seed", str(seed), *RECIPES[name]], [test], folder, run
            )
            for seed, folder in enumerate(folders)
        ]
        costs = [read_json(folder / "cost.json") for folder in folders]
        lines.append(
            Line(
                name,
                tuple(score["accuracy"] for score in scores),
                costs[0]["trainable_parameters"],
                mean(cost["seconds"] for cost in costs),
                mean(cost["peak_resident_mib"] for cost in costs),
            )
        )
    return lines


def ensembles(out: Path, rows: Sequence[Row], *, seeds: int, max_tokens: int) -> list[Line]:
    """The plain runs of all seeds as one: their probabilities averaged, and their weights averaged into one model."""
    folders = [folder_of(out, PLAIN, seed) / "model" for seed in range(seeds)]
    members: list[Floats] = []
    for folder in folders:
        model, tokenizer, columns = models.load(folder)
        labels = labels_of_set(rows, columns.labels_of(rows[0].kind))
        own, gold = columns.of(rows[0].kind, labels), gold_of(rows, labels)
        logits = logits_on(model, tokenizer, columns, rows, max_tokens=max_tokens)
        members.append(probabilities_of(logits, own))
    logits = logits_on(soup(folders), tokenizer, columns, rows, max_tokens=max_tokens)
    averaged = accuracy(average_probabilities(members), gold)
    souped = accuracy(probabilities_of(logits, own), gold)
    size = sum(value.numel() for value in model.parameters())
    costs = [read_json(folder.parent / "cost.json") for folder in folders]
    seconds, resident = sum(cost["seconds"] for cost in costs), costs[0]["peak_resident_mib"]
    return [
        Line(f"{seeds} seeds, probabilities averaged", (averaged,), seeds * size, seconds, resident),
        Line(f"{seeds} seeds, weights averaged", (souped,), size, seconds, resident),
    ]


def render(lines: Sequence[Line]) -> str:
    """Markdown. Time and memory are also given over those of the first line."""
    first = lines[0]
    table = [
        "| recipe | accuracy | trainable parameters | training time | | peak memory | |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        spread = f" ± {100 * stdev(line.accuracies):.2f}" if len(line.accuracies) > 1 else ""
        table.append(
            f"| {line.name} | {100 * float(np.mean(line.accuracies)):.2f}{spread} | {line.trainable:,} "
            f"| {line.seconds:.0f} s | {line.seconds / first.seconds:.2f} | {line.resident_mib:,.0f} MiB "
            f"| {line.resident_mib / first.resident_mib:.2f} |"
        )
    return "\n".join(table) + "\n"


def folder_of(out: Path, name: str, seed: int) -> Path:
    """Where a run of a recipe lies."""
    return out / f"{name.replace(',', '').replace(' ', '-').lower()}-{seed}"
