"""From models to files: a JSON Schema for each message, an AsyncAPI 3 document, and golden examples.

``export`` writes them, ``check`` says how a folder differs from the code (drift) and whether the code could still talk to
those who built on that folder (compatibility). Exporting over an incompatible state is refused, so a break cannot be
hidden by exporting it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from worker.contracts.asyncapi import asyncapi_document
from worker.contracts.catalogue import CATALOGUE, MessageType
from worker.contracts.compatibility import incompatibilities
from worker.errors import DataError
from worker.files import is_file

Document = dict[str, Any]
Examples = Mapping[str, Sequence[Document]]
"""Examples by versioned type: ``{"name", "topic", "key", "headers", "value"}`` each."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Problem(NamedTuple):
    """One way in which a folder of contracts and the code disagree."""

    kind: Literal["drift", "incompatible"]
    file: str
    detail: str


def json_schema(type_: MessageType) -> Document:
    """The schema of one message. Published messages are closed and always carry every field; inputs are open."""
    mode: Literal["validation", "serialization"] = (
        "serialization" if type_.direction == "out" else "validation"
    )
    schema = type_.model.model_json_schema(mode=mode)
    return {"$schema": _DIALECT, "$id": type_.dataschema, **schema}


def resolve(dataschema: str) -> Document:
    """The schema that a ``ce_dataschema`` names. Raises KeyError for a name that is not ours."""
    return json_schema({type_.dataschema: type_ for type_ in CATALOGUE}[dataschema])


def documents(examples: Examples) -> dict[str, str]:
    """Every exported file: path inside the folder to its text."""
    files: dict[str, Any] = {"asyncapi.json": asyncapi_document()}
    for type_ in CATALOGUE:
        files[f"schemas/{type_.versioned}.json"] = json_schema(type_)
        files[f"examples/{type_.versioned}.json"] = list(examples[type_.versioned])
    return {path: json.dumps(content, ensure_ascii=False, indent=2) + "\n" for path, content in files.items()}


def check(folder: Path, examples: Examples) -> list[Problem]:
    """Compare a folder with the code; an empty list means that they agree.

    Raises:
        DataError: there is no folder of contracts.
        OSError: it may not be looked at.
    """
    if not is_file(folder / "asyncapi.json"):
        raise DataError(
            f"no exported contracts in {folder}", hint=f"`tagline contracts export --to {folder}` writes them"
        )
    expected = documents(examples)
    found = _read(folder)
    problems = [Problem("drift", path, "missing") for path in expected if path not in found]
    problems += [
        Problem("drift", path, "not exported by this version") for path in found if path not in expected
    ]
    problems += [
        Problem("drift", path, f"differs from the code at line {_first_difference(found[path], text)}")
        for path, text in expected.items()
        if path in found and found[path] != text
    ]
    return problems + _incompatible(found, expected)


def export(folder: Path, examples: Examples) -> list[str]:
    """Write every file and return their paths. Raises DataError, and writes nothing, over an incompatible state."""
    expected = documents(examples)
    broken = _incompatible(_read(folder), expected)
    if broken:
        raise DataError(
            "; ".join(f"{problem.file}: {problem.detail}" for problem in broken),
            hint="this needs a new major version: a new model and topic beside the old ones",
        )
    for path, text in expected.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    return sorted(expected)


def _read(folder: Path) -> dict[str, str]:
    paths = [*folder.glob("*.json"), *folder.glob("schemas/*.json"), *folder.glob("examples/*.json")]
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8", "replace") for path in sorted(paths)}


def _incompatible(old: Mapping[str, str], new: Mapping[str, str]) -> list[Problem]:
    problems = []
    for path in sorted(old):
        if not path.startswith("schemas/"):
            continue
        name = path.removeprefix("schemas/").removesuffix(".json")
        type_ = next((type_ for type_ in CATALOGUE if type_.versioned == name), None)
        if type_ is None:
            problems.append(Problem("incompatible", path, "this message is gone"))
            continue
        example_path = f"examples/{name}.json"
        try:
            details = incompatibilities(
                type_,
                old_schema=json.loads(old[path]),
                new_schema=json.loads(new[path]),
                old_values=[example["value"] for example in json.loads(old.get(example_path, "[]"))],
                new_values=[example["value"] for example in json.loads(new[example_path])],
            )
        except (ValueError, KeyError, TypeError) as error:
            details = [f"cannot be read: {error}"]
        problems += [Problem("incompatible", path, detail) for detail in details]
    return problems


def _first_difference(found: str, expected: str) -> int:
    """Number of the first line that differs."""
    lines = zip(found.splitlines(), expected.splitlines(), strict=False)
    return next(
        (number for number, (a, b) in enumerate(lines, 1) if a != b),
        1 + min(found.count("\n"), expected.count("\n")),
    )
