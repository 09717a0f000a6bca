"""What lies at a path, where missing and not allowed are different answers.

`Path.exists`, `is_file` and `is_dir` answer False from Python 3.14 on where they raised before: what may not be looked at
would be called missing.
"""

import errno
import stat
from pathlib import Path

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


def exists(path: Path) -> bool:
    """Whether anything is there. Raises OSError when that cannot be looked at."""
    return _kind(path) != 0


def is_file(path: Path) -> bool:
    """Whether a file is there. Raises OSError when that cannot be looked at."""
    return _kind(path) == stat.S_IFREG


def is_folder(path: Path) -> bool:
    """Whether a folder is there. Raises OSError when that cannot be looked at."""
    return _kind(path) == stat.S_IFDIR


def _kind(path: Path) -> int:
    """The part of its mode that says what it is; 0 when nothing is there."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return 0
        raise
