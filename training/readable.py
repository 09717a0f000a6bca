"""What a path holds: a file that a library cannot read is damaged, and no bug of ours; one that may not be looked at is not missing."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from worker.errors import UsageError

_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def mode_of(path: Path) -> int:
    """What a path is, as ``stat`` tells it; 0 where there is nothing.

    For what somebody names to be read. `Path.exists`, `is_file` and `is_dir` keep every refusal to themselves from Python 3.14 on.

    :raises OSError: nobody can tell: this user may not look into a folder on the way to it, or the disk does not answer.
    """
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _MISSING:
            return 0
        raise


def is_file(path: Path) -> bool:
    """Whether there is a file; raises as :func:`mode_of`."""
    return S_ISREG(mode_of(path))


def is_folder(path: Path) -> bool:
    """Whether there is a folder; raises as :func:`mode_of`."""
    return S_ISDIR(mode_of(path))


@contextmanager
def readable(
    path: Path | str,
    *,
    hint: str = "copy, download or make it again, whole; a large-file pointer of a clone is a text of a few lines",
) -> Iterator[None]:
    """Within it libraries read what lies at ``path``, each of which raises what it likes.

    :raises UsageError: with what it raised in a line.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # the Rust ones raise plain Exception
        said = " ".join(str(error).split())[:200]
        raise UsageError(f"{path} cannot be read: {said or type(error).__name__}", hint=hint) from error
