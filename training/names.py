"""Names for files and folders: short, and no two alike."""

from collections.abc import Sequence
from pathlib import Path

from worker.errors import UsageError


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The last part of every path; where several share it, with as many folders before it as set them apart.

    :raises UsageError: two of them are the same path.
    """
    parts = [path.resolve().parts for path in paths]
    names = []
    for own in parts:
        if parts.count(own) > 1:
            raise UsageError(
                f"`{own[-1]}` is given twice, or two files differ in their endings alone",
                hint="leave one out, or rename it",
            )
        length = 1
        while sum(other[-length:] == own[-length:] for other in parts) > 1:
            length += 1
        names.append("/".join(own[-length:]))
    return names
