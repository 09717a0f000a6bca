"""The file from which a killed run goes on, and what tells that it is this run's."""

import ast
import hashlib
import json
import random
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from training.batches import Example
from training.readable import readable
from training.runs import plain
from worker.errors import UsageError

_FORMAT = "2"
"""Of the file and of what a step does; another one's run does not go on as it began."""
_DIFFERENCES = {
    "format": "a checkpoint of another version of tagline",
    "options": "another configuration",
    "data": "other data",
    "base": "another base checkpoint",
    "processes": "another number of processes",
}


def identity(
    options: Mapping[str, Any], examples: Sequence[Example], model: torch.nn.Module, *, processes: int
) -> dict[str, str]:
    """What must be equal for a run to go on: all options, ids and targets of the examples, and the weights at the start.

    Reads every example and weight: about a second for a base encoder.
    """
    return {
        "format": _FORMAT,
        "options": json.dumps(plain(options), sort_keys=True, ensure_ascii=False),
        "data": data_digest(examples),
        "base": weights_digest(model),
        "processes": str(processes),
    }


def save(value: Mapping[str, Any], path: Path) -> None:
    """Write so that a kill in the middle leaves the previous file whole."""
    part = path.with_suffix(".part")
    torch.save(value, part)
    part.replace(path)


def load(path: Path, expected: Mapping[str, str]) -> dict[str, Any] | None:
    """The checkpoint, or None where there is none. ``expected``: :func:`identity` of the run that asks. Changes nothing.

    :raises UsageError: it is another run's, or damaged.
    """
    if not path.is_file():
        return None
    with readable(path, hint="remove it to train anew, or give a new --out folder"):
        stored: dict[str, Any] = torch.load(path, weights_only=True)
    known = stored.get("identity", {})
    different = [text for key, text in _DIFFERENCES.items() if known.get(key) != expected[key]]
    if different:
        raise UsageError(
            f"{path.parent} holds a run with {', '.join(different)}",
            hint="give a new --out folder, or repeat the options and files of the run to resume",
        )
    return stored


def random_state() -> dict[str, Any]:
    """Where the generators of torch and Python stand in this process."""
    return {"torch": torch.get_rng_state(), "python": repr(random.getstate())}


def restore_random_state(stored: Mapping[str, Any]) -> None:
    """Set them to what :func:`random_state` said."""
    torch.set_rng_state(stored["torch"])
    version, internal, gauss = ast.literal_eval(stored["python"])
    random.setstate((version, internal, gauss))


def data_digest(examples: Sequence[Example]) -> str:
    """A digest of the ids, kinds and targets of examples, in their order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{len(example.ids)} {example.kind} {example.target};".encode())
        digest.update(array("q", example.ids).tobytes())
    return digest.hexdigest()


def weights_digest(model: torch.nn.Module) -> str:
    """SHA-256 over the names, shapes and bytes of all weights."""
    digest = hashlib.sha256()
    for name, value in model.named_parameters():
        digest.update(f"{name} {tuple(value.shape)};".encode())
        digest.update(value.detach().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
