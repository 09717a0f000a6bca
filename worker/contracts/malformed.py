"""From a parser's complaint to a reason code: what is said about a record that cannot be read."""

from typing import NamedTuple

from pydantic import ValidationError

from worker.contracts.reasons import Reason


class Rejection(NamedTuple):
    """A record that cannot be tagged, and why. ``detail`` names fields and positions, never what a user wrote."""

    reason: Reason
    detail: str


def rejection_of(value: bytes, error: ValidationError) -> Rejection:
    """The code and a short description of what the parser found. Of the input it repeats field names of ours only."""
    errors = error.errors(include_url=False, include_input=False)
    first = errors[0]
    if first["type"] == "json_invalid":
        return _not_json(value, str(first.get("ctx", {}).get("error", "")))
    if not first["loc"]:
        return Rejection(Reason.NOT_AN_OBJECT, "an object was expected")
    match first["type"]:
        case "missing":
            reason = Reason.MISSING_FIELD
        case "string_too_long":
            reason = Reason.FIELD_TOO_LONG
        case _:
            reason = Reason.INVALID_FIELD
    return Rejection(reason, "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in errors[:5]))


def _not_json(value: bytes, problem: str) -> Rejection:
    if value[:1] == b"\x00":
        schema_id = int.from_bytes(value[1:5], "big")
        return Rejection(
            Reason.SCHEMA_REGISTRY_FRAMING,
            f"begins with 0x00 (schema id {schema_id}); no schema registry is configured",
        )
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return Rejection(Reason.NOT_UTF8, f"byte {error.start}: {error.reason}")
    if problem.startswith("recursion limit"):
        return Rejection(Reason.TOO_DEEP, problem)
    if problem.startswith("number out of range"):
        return Rejection(Reason.NUMBER_TOO_LONG, problem)
    return Rejection(Reason.NOT_JSON, problem)
