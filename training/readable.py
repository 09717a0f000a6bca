"""A file that a library cannot read is damaged, and no bug of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.errors import UsageError


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
