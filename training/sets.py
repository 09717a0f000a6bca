"""Labelled files as named sets of one kind each: what everything that scores a model works on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.data import Row, columns_of_file, read_rows
from training.names import distinct_names
from worker.errors import UsageError


def labelled_sets(files: Sequence[Path], meanings: Mapping[str, str] | None = None) -> dict[str, list[Row]]:
    """The labelled rows of every file: a set by the file's name, or one for each of its kinds (``name_kind``).

    ``meanings`` as :func:`training.data.read_rows` takes them. Rows without label are left out.

    :raises UsageError: a file cannot be read or has no labelled row, or two sets would have one name.
    """
    stems = [path.with_name(path.name.split(".")[0]) for path in files]
    named = {
        name: labelled_rows(path, meanings) for name, path in zip(distinct_names(stems), files, strict=True)
    }
    return split_by_kind(named)


def labelled_rows(path: Path, meanings: Mapping[str, str] | None = None) -> list[Row]:
    """The rows of a file that have a label.

    :raises UsageError: there is none.
    """
    rows = [row for row in read_rows(path, meanings=meanings) if row.label is not None]
    if not rows:
        columns = columns_of_file(path)
        found = f"its columns are {', '.join(columns)}" if columns else "it is empty"
        raise UsageError(
            f"{path.name} has no labelled row: {found}",
            hint="a file with labels has the columns `text` and `label`",
        )
    return rows


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


def kind_of(rows: Sequence[Row]) -> str:
    """The kind of a set.

    :raises UsageError: the set is empty or of several kinds.
    """
    kinds = sorted({row.kind for row in rows})
    if len(kinds) != 1:
        what = f"of the kinds {', '.join(kinds)}" if kinds else "empty"
        raise UsageError(f"a set must be of one kind; this one is {what}", hint="give a file for each kind")
    return kinds[0]
