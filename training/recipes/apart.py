"""Fine-tunes in processes of their own, for tables over many of them: finished ones are kept, others' are refused.

Every run is a plain ``tagline train finetune``, so a line of a table can be repeated by hand; its folder holds the command's
whole configuration. Only the last weights count: no checkpoint is chosen on the rows that are scored.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training import model as models
from training.data import file_digest
from training.progress import say_stage
from training.runs import model_files, read_json
from worker.errors import UsageError

NEVER = "1000000000"
"""Steps between evaluations: only the one at the end."""

Run = Callable[[Sequence[str]], None]


def finetune_in_a_process(arguments: Sequence[str]) -> None:
    """Run ``tagline train finetune`` with these arguments; its progress goes to our standard error. Blocks till it ends.

    :raises UsageError: it failed, and what it said is above: that one which outlived the call that started it still trains
        there, too.
    """
    command = [sys.executable, "-P", "-m", "worker.cli", "train", "finetune", *arguments]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise UsageError(
            f"`tagline train finetune {' '.join(arguments)}` failed", hint="see its message above"
        )


def trained_apart(
    title: str, arguments: Sequence[str], tests: Sequence[Path], folder: Path, run: Run
) -> Mapping[str, Any]:
    """Train in ``folder``, unless that holds the finished run, and return its accuracies on ``tests`` by the names of the files.

    ``arguments``: the training files, then options with their values, ``--base`` among them; the last of a kind counts.

    :raises UsageError: the run failed, or the folder holds a finished one with other options, files or base.
    """
    scored = [part for test in tests for part in ("--validation", str(test))]
    whole = [*arguments, *scored, "--evaluate-every", NEVER, "--out", str(folder)]
    if (folder / "cost.json").is_file():
        _check_same(folder, arguments, tests)
    else:
        say_stage(title)
        run(whole)
    return dict(read_json(folder / "before_after.json")["after"])


def _check_same(folder: Path, arguments: Sequence[str], tests: Sequence[Path]) -> None:
    """A finished run counts only when it was asked for the same, on the same files."""
    found = read_json(folder / "run.json")
    config = found["options"]["config"]
    start = next((i for i, argument in enumerate(arguments) if argument.startswith("--")), len(arguments))
    asked = dict(zip(arguments[start::2], arguments[start + 1 :: 2], strict=True))
    told = {
        "--epochs": config["train"]["epochs"],
        "--lr": config["train"]["lr"],
        "--seed": config["train"]["seed"],
        "--layers": ",".join(map(str, config["layers"] or ())),
        "--max-tokens": config["max_tokens"],
        "--batch-tokens": config["train"]["tokens_per_batch"],
    }
    inputs = set(found["inputs"].values())
    digests = {file_digest(path) for path in [*map(Path, arguments[:start]), *tests]}
    base = {file_digest(path) for path in model_files(models.base_files(asked["--base"]))}
    different = [option for option in told if option in asked and not _equal(asked[option], told[option])]
    if not base <= inputs:
        different.append("--base")
    elif inputs - base != digests - base:
        different.append("the files")
    if different:
        raise UsageError(
            f"{folder} holds a run that differs in {', '.join(different)}",
            hint="give another --out folder, or remove this one to train it again",
        )


def _equal(asked: str, told: str | float) -> bool:
    return asked == told if isinstance(told, str) else float(asked) == told
