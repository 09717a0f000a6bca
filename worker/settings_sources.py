"""Where settings come from: flags, environment, mounted secrets, a TOML file; and what is said when they are wrong.

pydantic-settings reads all of these too, but passes over a misspelt variable in silence, has no ``_FILE`` and does not tell
where a value came from, so the layers are laid here and pydantic only validates. Everything is pure but the reading of
the files that the environment names.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from worker.errors import UsageError

PREFIX = "TAGLINE_"
CONFIG_VARIABLE = "TAGLINE_CONFIG"
NOT_SETTINGS = frozenset({CONFIG_VARIABLE, "TAGLINE_LOCAL_DIR", "TAGLINE_CACHE_DIR"})
"""Variables under our prefix that name places on this machine and are read before any setting is."""

_SERVICE_LINK = re.compile(r"(_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")

_SECRET_OPTION = re.compile(r"password|passphrase|secret|token|\.pem|sasl\.jaas", re.IGNORECASE)

_LONGEST_SHOWN = 80
"""Characters of a wrong value that an error message repeats."""


class Sourced(NamedTuple):
    """A value as it was given, not yet validated, and who gave it."""

    value: object
    origin: str


Values = dict[str, Sourced]
"""Setting, as in ``kafka.group_id`` -> what was given for it."""


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Every setting by its dotted name, in the order of the classes; groups are one level deep."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            found |= {f"{name}.{inner}": info for inner, info in group.model_fields.items()}
        else:
            found[name] = field
    return found


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.replace(".", "_").upper()


def _mounting(name: str) -> str:
    """The environment variable that names a file with the setting's value."""
    return variable_of(name) + "_FILE"


def is_secret(field: FieldInfo) -> bool:
    """Whether the value may never be shown."""
    return "SecretStr" in str(field.annotation)


def is_secret_option(name: str) -> bool:
    """Whether one of librdkafka's properties (``ssl.key.password``) holds what may never be shown."""
    return _SECRET_OPTION.search(name) is not None


def gather(model: type[BaseModel], overrides: Mapping[str, object], environ: Mapping[str, str]) -> Values:
    """What was given for each setting, the strongest source winning. Reads the files that `environ` names.

    Raises ``UsageError`` for names that are not settings, for files that cannot be read, and for a variable given twice.
    """
    fields = fields_of(model)
    flags = {name: value for name, value in overrides.items() if value is not None}
    path = environ.get(CONFIG_VARIABLE)
    return {
        **(_from_tree(_read_toml(Path(path)), fields, path) if path else {}),
        **_from_environment(environ, fields),
        **_from_tree(flags, fields, "flag"),
    }


def nested(values: Values) -> dict[str, object]:
    """The values as the tree that the model validates."""
    tree: dict[str, object] = {}
    for name, given in values.items():
        group, _, inner = name.rpartition(".")
        target = tree.setdefault(group, {}) if group else tree
        assert isinstance(target, dict)  # noqa: S101 - groups are one level deep and never settings themselves
        target[inner] = given.value
    return tree


def readable(error: ValidationError, model: type[BaseModel], values: Values) -> UsageError:
    """One line for each wrong setting: its name, where it came from, what is wrong; never a secret's value, nor a file's text."""
    fields = fields_of(model)
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = ".".join(str(part) for part in problem["loc"][:2])
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
        given = values.get(name)
        if given is None:
            lines.append(f"{name}: {message}" if name else message)
            continue
        origin = "" if given.origin == "flag" else f" (from {given.origin})"
        # What is mounted may be a secret, and by mistake the file of another setting.
        hidden = name not in fields or is_secret(fields[name]) or given.origin == _mounting(name)
        if name in fields and _is_json(fields[name]):
            wrong = _wrong_option(problem["loc"][2:], message, given.value, hidden=hidden)
            lines.append(f"{name}{origin}: {wrong}")
            continue
        shown = "" if hidden else f", not {_short(given.value)}"
        lines.append(f"{name}{origin}: {message}{shown}")
    return UsageError(
        lines[0] if len(lines) == 1 else "\n  ".join(["settings cannot be used:", *lines]),
        hint="`tagline config docs` explains every setting",
    )


def _wrong_option(path: tuple[int | str, ...], message: str, given: object, *, hidden: bool) -> str:
    """What is wrong inside a JSON object. Only a number is repeated: a list, or a table made of dots, may hold a secret."""
    if not path or not isinstance(given, Mapping):
        return message
    option = str(path[0])
    value = given[option]
    shown = (
        "" if hidden or is_secret_option(option) or not isinstance(value, int | float) else f", not {value}"
    )
    return f"{option} {message}{shown}"


def _from_environment(environ: Mapping[str, str], fields: Mapping[str, FieldInfo]) -> Values:
    """Read ``TAGLINE_...``. An empty variable counts as not set: Compose files pass those for what was left out."""
    names = {variable_of(name): name for name in fields}
    given = {
        variable: text
        for variable, text in environ.items()
        if variable.startswith(PREFIX)
        and variable not in NOT_SETTINGS
        and text
        and not _is_service_link(variable, text)
    }
    values: Values = {}
    unknown: list[str] = []
    for variable, text in given.items():
        plain = variable.removesuffix("_FILE")
        if variable in names:
            values[names[variable]] = Sourced(_parsed(variable, text, fields[names[variable]]), variable)
        elif plain in names:
            if plain in given:
                raise UsageError(f"both {plain} and {variable} are set", hint="unset one of them")
            values[names[plain]] = Sourced(
                _parsed(variable, _read_secret(variable, text), fields[names[plain]]), variable
            )
        else:
            unknown.append(variable)
    _refuse("variable", unknown, list(names), "the environment")
    return values


def _is_service_link(variable: str, text: str) -> bool:
    """Whether Kubernetes made the variable, as it does in every pod for a service whose name begins with `tagline`."""
    return bool(
        _SERVICE_LINK.search(variable) or (variable.endswith("_PORT") and _SERVICE_ADDRESS.match(text))
    )


def _parsed(variable: str, text: str, field: FieldInfo) -> object:
    if not _is_json(field):
        return text
    try:
        parsed: object = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{variable} is not JSON: {error}", hint='write it as {"name": "value"}') from None
    return parsed


def _is_json(field: FieldInfo) -> bool:
    return str(field.annotation).startswith("dict")


def _read_secret(variable: str, path: str) -> str:
    """The file's text. An empty one is refused: a secret that is not there yet would turn a protection off in silence."""
    try:
        text = Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{variable} names {path}, which cannot be read: {reason}") from None
    if not text.strip():
        raise UsageError(
            f"{variable} names {path}, which is empty",
            hint=f"fill it, or unset {variable} if nothing is to be set",
        )
    return text


def _read_toml(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"the settings file {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"the settings file {path} is not TOML: {error}") from None


def _from_tree(tree: Mapping[str, object], fields: Mapping[str, FieldInfo], origin: str) -> Values:
    """Values of a tree such as TOML gives; dotted names are taken as well."""
    values: Values = {}
    unknown: list[str] = []
    for name, value in _leaves(tree, fields):
        if name in fields:
            values[name] = Sourced(value, origin)
        else:
            unknown.append(name)
    _refuse("setting", unknown, list(fields), origin)
    return values


def _leaves(
    tree: Mapping[str, object], fields: Mapping[str, FieldInfo], prefix: str = ""
) -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        name = prefix + key
        if isinstance(value, Mapping) and name not in fields and not prefix:
            yield from _leaves(value, fields, f"{name}.")
        else:
            yield name, value


def _refuse(kind: str, unknown: list[str], known: list[str], origin: str) -> None:
    if not unknown:
        return
    lines = []
    for name in sorted(unknown):
        near = _near(name, known)
        lines.append(name + (f" (did you mean {' or '.join(near)}?)" if near else ""))
    plural = f"{kind}s" if len(lines) > 1 else kind
    raise UsageError(
        f"unknown {plural} in {origin}: {', '.join(lines)}", hint="`tagline config docs` lists every setting"
    )


def _near(name: str, known: list[str]) -> list[str]:
    """Settings that `name` may have meant: the same last words in another group, then similar spellings."""
    bare = name.removeprefix(PREFIX)
    same_words = [one for one in known if one.endswith(("_" + bare, "." + name.rpartition(".")[2]))]
    similar = {one.removeprefix(PREFIX): one for one in known}
    return same_words[:2] or [
        similar[one] for one in difflib.get_close_matches(bare, similar, n=2, cutoff=0.75)
    ]


def _short(value: object) -> str:
    shown = repr(value.get_secret_value() if isinstance(value, SecretStr) else value)
    return shown if len(shown) <= _LONGEST_SHOWN else shown[: _LONGEST_SHOWN - 3] + "..."
