"""Options that take one of a few words."""

from typing import TypeVar

from worker.errors import UsageError

Choice = TypeVar("Choice", bound=str)


def one_of(option: str, value: str, *choices: Choice) -> Choice:
    """The choice that ``value`` spells.

    :raises UsageError: it is none of them.
    """
    for choice in choices:
        if choice == value:
            return choice
    raise UsageError(f"--{option} must be one of {', '.join(choices)}, not {value!r}")
