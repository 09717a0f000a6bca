"""Errors that a person can act on, and the exit code that each one ends the process with.

Every error that leaves a command is a :class:`TaglineError`: a sentence that says what went wrong and, where there is
one, a hint that says what mends it. Anything else that reaches the top is a bug and ends with ``ExitCode.BUG``.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Why the process ended. The numbers are stable: operators match on them."""

    OK = 0
    """Ended as asked; a drained worker."""
    BUG = 1
    """An exception nobody expected. Nothing more was committed."""
    USAGE = 2
    """Wrong arguments, settings or files given by the user."""
    DEPENDENCY = 3
    """Kafka, or a tool that a command needs, cannot be reached or is missing; or the machine refuses a file."""
    AUTHENTICATION = 4
    """A broker or Redis refused the credentials or the permission."""
    MODEL = 5
    """The model bundle is missing, damaged, or does not answer its canaries."""
    DATA = 6
    """The data is not what was promised: offsets out of range, a topic missing, drifted contracts."""
    DRAIN = 7
    """Told to stop, but the work in flight did not finish within the drain time-out. Nothing of it was committed."""
    STUCK = 8
    """The stages made no progress for too long, so the process gave up its place to a fresh one."""
    KILLED = 130
    """A second SIGINT or SIGTERM cut the drain short."""


class TaglineError(Exception):
    """An error with an exit code and, where there is one, the step that mends it."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(TaglineError):
    """The user's arguments, settings or files cannot be used."""

    exit_code = ExitCode.USAGE


class DependencyError(TaglineError):
    """Something outside the process is missing or does not answer."""

    exit_code = ExitCode.DEPENDENCY


class AuthenticationError(TaglineError):
    """Credentials or permissions were refused."""

    exit_code = ExitCode.AUTHENTICATION


class ModelError(TaglineError):
    """The model bundle cannot be served."""

    exit_code = ExitCode.MODEL


class DeviceError(ModelError):
    """The device broke down in mid-work, perhaps of what it was given; whatever this process asks of it fails from here on."""


class DataError(TaglineError):
    """Stored data breaks a promise that the worker relies on."""

    exit_code = ExitCode.DATA


class DrainTimeoutError(TaglineError):
    """The work in flight did not finish in time after a stop was asked for."""

    exit_code = ExitCode.DRAIN


class StuckError(TaglineError):
    """The stages made no progress for longer than the watchdog allows."""

    exit_code = ExitCode.STUCK


SPEAKING_ERRORS = (TaglineError, OSError, ImportError)
"""Errors whose message holds no user text. That of any other (pydantic repeats its input) is never shown or logged."""
