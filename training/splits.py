"""Splits as files: one for each, their counts beside them, and whether those that stand are these."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.data import Row, read_rows, write_rows
from training.prepare import Prepared
from training.runs import write_json
from worker.errors import UsageError

COUNTS = "counts.json"
"""Written last: who finds it may take the splits as whole."""


def split_file(folder: Path, name: str) -> Path:
    """Where a split lies."""
    return folder / f"{name}.jsonl.gz"


def read_split(folder: Path, name: str) -> list[Row]:
    """The rows of one split that :func:`write_splits` wrote."""
    return read_rows(split_file(folder, name))


def write_splits(folder: Path, prepared: Prepared) -> None:
    """Every split as a file in ``folder``, and their counts."""
    for name, rows in prepared.splits.items():
        write_rows(split_file(folder, name), rows)
    write_json(folder / COUNTS, prepared.counts)


def splits_stand(folder: Path, splits: Mapping[str, Sequence[Row]], *, made_from: str) -> bool:
    """Whether just these splits stand whole in ``folder``. Reads them all.

    ``made_from``: what gives the rows, and a verb, for the message.

    :raises UsageError: those that stand have other rows.
    """
    if not (folder / COUNTS).is_file():
        return False
    if other := [name for name, rows in splits.items() if not _is_split(folder, name, rows)]:
        raise UsageError(
            f"{folder} has other rows than {made_from}: {', '.join(other)}",
            hint="give a new --out folder: what stands in this one was trained on those rows",
        )
    return True


def _is_split(folder: Path, name: str, rows: Sequence[Row]) -> bool:
    return split_file(folder, name).is_file() and read_split(folder, name) == list(rows)
