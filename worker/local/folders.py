"""Folders that the local stack keeps things in."""

from pathlib import Path

from worker.errors import DependencyError


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
