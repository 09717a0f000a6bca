"""Labelled files as named sets of one kind each: what everything that scores a model works on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from training.data import Row, columns_of_file, read_rows, set_name
from training.metrics import Ints
from training.names import distinct_names
from worker.errors import UsageError


def labelled_sets(files: Sequence[Path], meanings: Mapping[str, str] | None = None) -> dict[str, list[Row]]:
    """The labelled rows of every file: a set by the file's name, or one for each of its kinds (``name_kind``).

    ``meanings`` as :func:`training.data.read_rows` takes them. Rows without label are left out.

    :raises UsageError: a file cannot be read or has no labelled row, or two sets would have one name.
    """
    stems = [path.with_name(set_name(path)) for path in files]
    named = {
        name: labelled_rows(path, meanings) for name, path in zip(distinct_names(stems), files, strict=True)
    }
    return split_by_kind(named)


def labelled_rows(path: Path, meanings: Mapping[str, str] | None = None) -> list[Row]:
    """The rows of a file that have a label.

    :raises UsageError: there is none.
    """
    rows = read_rows(path, meanings=meanings)
    check_labelled(path, rows)
    return [row for row in rows if row.label is not None]


def check_labelled(path: Path, rows: Sequence[Row]) -> None:
    """Raise unless some of a file's rows have a label.

    :raises UsageError: none has.
    """
    if all(row.label is None for row in rows):
        columns = columns_of_file(path)
        found = f"its columns are {', '.join(columns)}" if columns else "it is empty"
        raise UsageError(
            f"{path.name} has no labelled row: {found}",
            hint="fill its column `label`"
            if "label" in columns
            else "call the column that holds the labels `label`, and the one with the texts `text`",
        )


def split_by_kind(sets: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """The same rows in sets of one kind: a set of several becomes ``name_kind`` for each. Empty sets are left out.

    :raises UsageError: two sets would have one name.
    """
    result: dict[str, list[Row]] = {}
    for name, rows in sets.items():
        kinds = sorted({row.kind for row in rows})
        for kind in kinds:
            own = name if len(kinds) == 1 else f"{name}_{kind}"
            if own in result:
                raise UsageError(f"two sets would be called `{own}`", hint="rename one of the files")
            result[own] = [row for row in rows if row.kind == kind]
    return result


def labels_of_set(rows: Sequence[Row], known: Sequence[str]) -> tuple[str, ...]:
    """The labels by which a set is scored: those of its kind, but neutral only where some row is neutral.

    Who made a set of praise and complaint asked nobody for a third answer, so its rows say nothing of neutral, and it is
    scored as the choice between the two that it is.
    """
    neutral = any(row.label == "neutral" for row in rows)
    return tuple(label for label in known if neutral or label != "neutral")


def gold_of(rows: Sequence[Row], labels: Sequence[str]) -> Ints:
    """The index of every row's label [rows].

    :raises UsageError: a row has another label than these, or none.
    """
    index = {label: position for position, label in enumerate(labels)}
    unknown = {row.label for row in rows if row.label not in index}
    if unknown:
        raise UsageError(
            f"labels {sorted(map(str, unknown))} are not among the model's", hint=f"it has {tuple(labels)}"
        )
    return np.array([index[str(row.label)] for row in rows], dtype=np.int64)


def kind_of(rows: Sequence[Row]) -> str:
    """The kind of a set.

    :raises UsageError: the set is empty or of several kinds.
    """
    kinds = sorted({row.kind for row in rows})
    if len(kinds) != 1:
        what = f"of the kinds {', '.join(kinds)}" if kinds else "empty"
        raise UsageError(f"a set must be of one kind; this one is {what}", hint="give a file for each kind")
    return kinds[0]
