"""One table over the recipes: the same rows, encoder and seeds, each run in a process of its own.

What a recipe costs and gains shows only beside the others. Every run is a plain ``tagline train finetune``, so a line of the
table can be repeated by hand; its folder holds the command's whole configuration. Only the last weights count: no checkpoint is
chosen on the rows that are scored.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from training import model as models
from training.data import Row, file_digest
from training.evaluate import logits_on
from training.metrics import Floats, accuracy
from training.predict import probabilities_of
from training.recipes.ensemble import average_probabilities, soup
from training.runs import model_files, read_json
from training.sets import gold_of, labels_of_set
from worker.errors import UsageError

NEVER = "1000000000"
"""Steps between evaluations: only the one at the end."""

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


def finetune_in_a_process(arguments: Sequence[str]) -> None:
    """Run ``tagline train finetune``; its progress goes to our standard error.

    :raises UsageError: it failed; what it said is above.
    """
    command = [sys.executable, "-P", "-m", "worker.cli", "train", "finetune", *arguments]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:  # ourselves
        raise UsageError(
            f"`tagline train finetune {' '.join(arguments)}` failed", hint="see its message above"
        )


def run_recipes(
    names: Sequence[str],
    common: Sequence[str],
    test: Path,
    out: Path,
    *,
    seeds: int,
    run: Callable[[Sequence[str]], None] = finetune_in_a_process,
) -> list[Line]:
    """Train every recipe under every seed and score it on ``test``. Runs whose folder is complete are not repeated.

    ``common`` are the arguments that all share: the training files, then the base, epochs and the like.

    :raises UsageError: a name is unknown, a run failed, or a folder holds a run with other options or other data.
    """
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        raise UsageError(f"unknown recipes: {', '.join(unknown)}", hint=f"known: {', '.join(RECIPES)}")
    start = _first_option(common)
    files = [Path(argument) for argument in common[:start]]
    base = models.base_files(dict(zip(common[start::2], common[start + 1 :: 2], strict=True))["--base"])
    digests = {file_digest(path) for path in [*files, test]}
    base_digests = {file_digest(path) for path in model_files(base)}
    lines = []
    for name in names:
        folders = [folder_of(out, name, seed) for seed in range(seeds)]
        for seed, folder in enumerate(folders):
            arguments = [
                *common,
                *("--validation", str(test), "--evaluate-every", NEVER),
                *("--seed", str(seed), "--out", str(folder)),
                *RECIPES[name],
            ]
            if (folder / "cost.json").is_file():
                _check_same(folder, arguments, digests, base_digests)
                continue
            print(f"{name}, seed {seed}", file=sys.stderr, flush=True)
            run(arguments)
        costs = [read_json(folder / "cost.json") for folder in folders]
        lines.append(
            Line(
                name,
                tuple(read_json(folder / "before_after.json")["after"]["accuracy"] for folder in folders),
                costs[0]["trainable_parameters"],
                mean(cost["seconds"] for cost in costs),
                mean(cost["peak_resident_mib"] for cost in costs),
            )
        )
    return lines


def _first_option(arguments: Sequence[str]) -> int:
    return next((i for i, argument in enumerate(arguments) if argument.startswith("--")), len(arguments))


def _check_same(folder: Path, arguments: Sequence[str], digests: set[str], base_digests: set[str]) -> None:
    """A finished run counts only when it was asked for the same, on the same files."""
    found = read_json(folder / "run.json")
    config = found["options"]["config"]
    start = _first_option(arguments)
    asked = dict(
        zip(arguments[start::2], arguments[start + 1 :: 2], strict=True)
    )  # the last of a kind counts
    told = {
        "--epochs": config["train"]["epochs"],
        "--lr": config["train"]["lr"],
        "--seed": config["train"]["seed"],
        "--layers": ",".join(map(str, config["layers"] or ())),
        "--max-tokens": config["max_tokens"],
        "--batch-tokens": config["train"]["tokens_per_batch"],
    }
    inputs = set(found["inputs"].values())
    different = [option for option in told if option in asked and not _equal(asked[option], told[option])]
    if not base_digests <= inputs:
        different.append("--base")
    elif inputs - base_digests != digests - base_digests:
        different.append("the files")
    if different:
        raise UsageError(
            f"{folder} holds a run that differs in {', '.join(different)}",
            hint="give another --out folder, or remove this one to train it again",
        )


def _equal(asked: str, told: str | float) -> bool:
    return asked == told if isinstance(told, str) else float(asked) == told


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
