"""Folders that the local stack keeps things in, and what is said when the machine does not let it."""

import errno
from pathlib import Path

from worker.errors import DependencyError

REFUSALS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})
"""Ordinary trouble of a machine: somebody else's file, a read-only disk, a full one. Nobody's bug."""


def make_folder(folder: Path, variable: str) -> None:
    """Make a folder and those above it. ``variable`` is the environment's way to choose another place.

    Raises:
        DependencyError: it cannot be made here: a read-only or full disk, or somebody else's folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DependencyError(
            f"cannot make the folder {folder}: {error.strerror}", hint=f"set {variable} to a folder of yours"
        ) from error


def cannot_write(folder: Path, variable: str, error: OSError) -> DependencyError:
    """The error for a file that could not be written in a folder that is there."""
    return DependencyError(
        f"cannot write in the folder {folder}: {error.strerror}",
        hint=f"free space there, or set {variable} to a folder of yours elsewhere",
    )
