"""The folder of a run: what was asked, from which data, on which machine, and what came out."""

import json
import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from training.data import file_digest
from training.model import trained_folder
from training.names import distinct_names
from training.readable import readable
from worker.classify.manifest import MANIFEST
from worker.errors import UsageError
from worker.files import exists, is_file

LENGTH = "length.json"
MAX_TOKENS = 256


def plain(value: Any) -> Any:
    """A value as JSON can hold it: dataclasses as objects, paths by their last name (folders of a machine tell nobody)."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return value.name
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def machine() -> dict[str, Any]:
    """What decides speed and the last digits: processor, threads, library versions."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in _lines(Path("/proc/cpuinfo"))
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def peak_resident_mib() -> int:
    """The most memory that this process has had resident, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))  # bytes there, kB elsewhere


def write_run(folder: Path, *, stage: str, options: Mapping[str, Any], inputs: Sequence[Path] = ()) -> None:
    """Write ``run.json``: the stage, its whole configuration, digests of its input files, the machine."""
    files = list(dict.fromkeys(path.resolve() for path in inputs if path.is_file()))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / "run.json",
        {
            "stage": stage,
            "options": plain(options),
            "inputs": {
                name: file_digest(path) for name, path in zip(distinct_names(files), files, strict=True)
            },
            "machine": machine(),
        },
    )


def differences(folder: Path, asked: Mapping[str, Any], *, inputs: Sequence[Path]) -> list[str]:
    """In what the run in ``folder`` is not the one that is asked for: names of options, and `input files`; empty where it is.

    ``asked``: some of the options that :func:`write_run` was given. ``inputs``: all of its files; where they lie does not matter.
    """
    found = read_json(folder / "run.json")
    different = [name for name, value in asked.items() if found["options"].get(name) != plain(value)]
    if set(found["inputs"].values()) != {file_digest(path) for path in inputs}:
        different.append("input files")
    return different


def stands(folder: Path, asked: Mapping[str, Any], *, inputs: Sequence[Path]) -> bool:
    """Whether a training of just this stands finished in ``folder``. One that was cut off does not: it goes on, and the
    trainer looks whether it is this one. Arguments as :func:`differences` takes them.

    :raises UsageError: a finished training was asked for something else, or had other files.
    """
    if not (folder / "cost.json").is_file():  # written last
        return False
    if different := differences(folder, asked, inputs=inputs):
        raise UsageError(
            f"{folder} holds a run that differs in {', '.join(different)}",
            hint="give a new --out folder, or remove this one to train it again",
        )
    return True


def model_files(folder: Path) -> list[Path]:
    """The files that make a bundle, a run's model or its folder what it is, as inputs of another run."""
    return sorted(
        path for path in trained_folder(folder).iterdir() if path.suffix in (".json", ".safetensors")
    )


def refuse_in_place(out: Path, *inputs: Path) -> None:
    """Raise where what is written to ``out``, a file or a folder, would take the place of what is read.

    A run's folder and the model in it count as one. To be called before anything is read.

    :raises UsageError: ``out`` is an input.
    """
    for path in inputs:
        if exists(path) and trained_folder(path.resolve()) == trained_folder(out.resolve()):
            raise UsageError(
                f"{path} is read, and what is written to {out} would take its place",
                hint="give another --out",
            )


def remember_max_tokens(model: Path, max_tokens: int) -> None:
    """Note in a trained model's folder how long its texts were."""
    write_json(model / LENGTH, {"max_tokens": max_tokens})


def copy_max_tokens(model: Path, changed: Path) -> None:
    """Note the same of a model that was made from another one by less than training; nothing where nobody noted it."""
    path = trained_folder(model) / LENGTH
    if path.is_file():
        remember_max_tokens(changed, int(read_json(path)["max_tokens"]))


def max_tokens_of(model: Path, given: int | None) -> int:
    """The length limit in tokens to use with a bundle, a run or its model: what the bundle says; else the one ``given``, else
    the one that the model was trained with, else 256.

    :raises UsageError: a limit is given for a bundle.
    """
    if is_file(model / MANIFEST):
        if given is not None:
            raise UsageError(
                f"{model} is a bundle, which reads as many tokens as it was exported for",
                hint="leave out --max-tokens, or export the model again with it",
            )
        return int(read_json(model / MANIFEST)["max_tokens"])
    if given is not None:
        return given
    path = trained_folder(model) / LENGTH
    if not path.is_file():
        return MAX_TOKENS
    with readable(path):
        return int(read_json(path)["max_tokens"])


def write_json(path: Path, value: Any) -> None:
    """Write a value readably, with a line feed at the end. A kill in the middle leaves the file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
