"""Can those who built on an older state of a contract go on working?

Two questions by example, because that is how it fails in practice: does an *old reader accept a new example*, and does
the *new reader accept an old example*? Readers are tolerant, so unknown fields never count. Two more by comparing the
schemas, for what an example need not show: a field that was promised and is gone, an input that asks for more, and values that
may be published or are refused where they were not.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from worker.contracts.catalogue import MessageType
from worker.errors import DependencyError

Schema = dict[str, Any]


def incompatibilities(
    type_: MessageType,
    *,
    old_schema: Schema,
    new_schema: Schema,
    old_values: Sequence[object],
    new_values: Sequence[object],
) -> list[str]:
    """What breaks between two states of one message type. Raises DependencyError without the ``jsonschema`` package."""
    problems = [
        f"an old reader rejects a new example: {detail}" for detail in _old_reader(old_schema, new_values)
    ]
    problems += [
        f"the new reader rejects an old example: {detail}" for detail in _new_reader(type_, old_values)
    ]
    before, after = dict(_fields(old_schema, old_schema)), dict(_fields(new_schema, new_schema))
    if type_.direction == "out":
        problems += [
            f"{path}: was always there, and now is not"
            for path, required in before.items()
            if required and not after.get(path)
        ]
    else:
        problems += [
            f"{path}: is required now, and was not"
            for path, required in after.items()
            if required and not before.get(path)
        ]
    problems += _enumerations(type_, old_schema, new_schema)
    problems += _values(type_, old_schema, new_schema)
    return problems


def _old_reader(schema: Schema, values: Sequence[object]) -> Iterator[str]:
    try:
        from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no annotations
    except ImportError as error:
        raise DependencyError(
            "comparing contracts needs the package jsonschema", hint="pip install 'tagline[dev]'"
        ) from error
    validator = Draft202012Validator(_opened(schema))
    for value in values:
        for problem in validator.iter_errors(value):
            yield f"{'.'.join(map(str, problem.absolute_path)) or 'the event'}: fails `{problem.validator}`"


def _new_reader(type_: MessageType, values: Sequence[object]) -> Iterator[str]:
    for value in values:
        try:
            type_.model.model_validate(value, extra="ignore")
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                yield f"{'.'.join(map(str, problem['loc']))}: {problem['type']}"


def _opened(schema: Any) -> Any:
    """The schema as a tolerant reader takes it: unknown properties are allowed everywhere."""
    if isinstance(schema, dict):
        return {name: _opened(part) for name, part in schema.items() if name != "additionalProperties"}
    return [_opened(part) for part in schema] if isinstance(schema, list) else schema


def _fields(schema: Schema, root: Schema, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every property's dotted path, and whether it must be there."""
    schema = _resolved(schema, root)
    for name, part in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, name in schema.get("required", ())
        for branch in (part, *part.get("anyOf", ())):
            yield from _fields(branch, root, f"{path}.")


def _enumerations(type_: MessageType, old: Schema, new: Schema) -> Iterator[str]:
    """Closed lists: a published one may not grow (readers switch over it), an accepted one may not shrink."""
    before, after = dict(_enums(old, old)), dict(_enums(new, new))
    for path in before.keys() & after.keys():
        gone, come = before[path] - after[path], after[path] - before[path]
        if type_.direction == "out" and come:
            yield f"{path}: published readers do not know {', '.join(sorted(come))}"
        if type_.direction == "in" and gone:
            yield f"{path}: producers still send {', '.join(sorted(gone))}"


def _enums(schema: Schema, root: Schema, prefix: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    schema = _resolved(schema, root)
    for name, part in schema.get("properties", {}).items():
        for branch in (part, *part.get("anyOf", ())):
            branch = _resolved(branch, root)  # noqa: PLW2901 - the reference and what it refers to are one thing here
            if "enum" in branch:
                yield f"{prefix}{name}", frozenset(map(str, branch["enum"]))
            yield from _enums(branch, root, f"{prefix}{name}.")


_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def _values(type_: MessageType, old: Schema, new: Schema) -> Iterator[str]:
    """Types, limits and patterns: a published value may not become one that was not, an accepted one may not be refused."""
    before, after = dict(_kinds(old, old)), dict(_kinds(new, new))
    for path in sorted(before.keys() & after.keys()):
        # A published value needs room in what readers knew, a sent one in what the reader takes now.
        sent, room = (after[path], before[path]) if type_.direction == "out" else (before[path], after[path])
        verdict = "published readers do not know" if type_.direction == "out" else "producers still send"
        for kind, limits in sent.items():
            # Whole numbers are numbers too.
            fitting = room.get(kind, room.get("number") if kind == "integer" else None)
            if fitting is None:
                yield f"{path}: {verdict} {kind}"
                continue
            wide = [name for name in (*_LEAST, *_MOST, "pattern") if _exceeds(name, limits, fitting)]
            for name in wide:
                yield f"{path}: {verdict} {kind} with {name} {limits.get(name, 'unlimited')}, not {fitting[name]}"


def _exceeds(name: str, sent: Schema, room: Schema) -> bool:
    """Whether `sent` allows what `room` does not. Of two patterns nobody can say, so another one counts."""
    if name not in room:
        return False
    if name not in sent:
        return True
    if name == "pattern":
        return bool(sent[name] != room[name])
    return bool(sent[name] < room[name] if name in _LEAST else sent[name] > room[name])


def _kinds(schema: Schema, root: Schema, prefix: str = "") -> Iterator[tuple[str, dict[str, Schema]]]:
    """Every property's dotted path (``[]`` for items), and by type the part of the schema that speaks of it."""
    for name, part in _resolved(schema, root).get("properties", {}).items():
        yield from _kinds_of(part, root, f"{prefix}{name}")


def _kinds_of(part: Schema, root: Schema, path: str) -> Iterator[tuple[str, dict[str, Schema]]]:
    part = _resolved(part, root)
    branches = [_resolved(branch, root) for branch in part.get("anyOf", (part,))]
    kinds = {
        kind: branch
        for branch in branches
        for kind in ([branch["type"]] if isinstance(branch.get("type"), str) else branch.get("type", ()))
    }
    if kinds:  # a part that names no type takes any
        yield path, kinds
    for branch in branches:
        yield from _kinds(branch, root, f"{path}.")
        if "items" in branch:
            yield from _kinds_of(branch["items"], root, f"{path}[]")


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Schema = root["$defs"][str(reference).removeprefix("#/$defs/")]
    return found
