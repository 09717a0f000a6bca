"""One writer at a time in the folder of a run."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training import processes
from worker.errors import UsageError

LOCK = "lock"
"""An empty file in a run's folder, locked while somebody writes there. The kernel unlocks it however its process ends."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where there is none, until the block ends. Never waits.

    Of processes that train together the first one holds it for all. To be entered when all that may be refused was refused:
    only the lock's file changes in a folder that another process holds.

    :raises UsageError: another process holds it.
    """
    if processes.rank() > 0:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another process still writes to {folder}",
                hint="wait until it ends, or end it; then the same call goes on from where it stood",
            ) from error
        yield
