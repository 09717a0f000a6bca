"""Rows of labelled text, and the files that they come from.

A row is (text, label, kind, category). Files are JSON lines, CSV or Parquet, plain or gzipped, with a column ``text`` (or,
of product titles, ``title``) and, where known, ``label``, ``kind`` and ``category``; other columns are ignored.
"""

import codecs
import csv
import gzip
import hashlib
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from training.labels import meanings_of, spelled
from worker.classify.normalise import normalise
from worker.errors import UsageError
from worker.files import is_file, is_folder

_LONE_SURROGATES = re.compile("[\ud800-\udfff]+")
"""Halves of characters, which JSON can spell and UTF-8 cannot; no model reads them."""

REVIEW_LABELS = ("negative", "positive")
TITLE_LABELS = ("negative", "neutral", "positive")
KIND_LABELS: dict[str, tuple[str, ...]] = {"review": REVIEW_LABELS, "title": TITLE_LABELS}
"""Labels of the kinds that we know, in column order; reviews have a third where a row is neutral."""


@dataclass(frozen=True, slots=True)
class Row:
    """One text. ``label`` is None where nobody labelled it; ``source`` names the set that it came from."""

    text: str
    label: str | None = None
    kind: str = "review"
    category: str = ""
    source: str = ""


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Every record of a JSON lines, CSV or Parquet file, as it stands there.

    :raises UsageError: the file is missing or cannot be read, or its name or content is none of the three.
    :raises PermissionError: this user may not look into a folder on the way to it.
    """
    if is_folder(path):
        raise UsageError(
            f"{path} is a folder",
            hint="name the files in it that you mean; those of `prepare` are train, validation and test .jsonl.gz",
        )
    if not is_file(path):
        raise UsageError(f"no such data file: {path}")
    name = path.name.removesuffix(".gz").lower()
    if name.endswith(".parquet"):
        yield from _parquet_records(path)
    elif name.endswith((".csv", ".jsonl", ".ndjson")):
        read = _csv_records if name.endswith(".csv") else _json_records
        try:
            with _open_text(path) as file:
                yield from read(path, file)
        except UnicodeDecodeError as error:
            encoding = "UTF-16" if _begins_as_utf_16(path) else "GB18030"
            raise UsageError(
                f"{path.name} is not UTF-8 ({_first_undecodable(path)})",
                hint=f"convert it, as in `iconv -f {encoding} -t UTF-8 OLD > NEW`",
            ) from error
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(
                f"{path.name} cannot be read: {error}", hint="copy it again; .gz must be gzip"
            ) from error
    else:
        raise UsageError(
            f"cannot read {path.name}", hint="use .jsonl, .csv or .parquet (or .gz of the first two)"
        )


def columns_of_file(path: Path) -> list[str]:
    """The columns of a file's first record; empty when it has none."""
    return [str(name) for name in next(records(path), {})]


def _open_text(path: Path) -> TextIO:
    # -sig: what Excel saves as "CSV UTF-8" begins with a byte-order mark, which would be part of the first column's name.
    if path.suffix == ".gz":
        return cast("TextIO", gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _csv_records(path: Path, file: TextIO) -> Iterator[dict[str, Any]]:
    lines: list[str] = []  # of the record that is being read

    def remembered() -> Iterator[str]:
        for line in file:
            lines.append(line)
            yield line

    reader = csv.DictReader(remembered())
    try:
        _check_separator(path, reader.fieldnames or [])
        _check_twice(path, reader.fieldnames or [])
        last = list(lines)
        lines.clear()
        for record in reader:
            last = list(lines)
            lines.clear()
            if None in record:
                raise UsageError(
                    f"{path.name}, line {reader.line_num}: more cells than the header has columns",
                    hint="put texts that hold a comma in double quotes",
                )
            yield dict(record)
        if _ends_in_quotes(last):
            raise UsageError(
                f"{path.name}, line {reader.line_num - len(last) + 1}: a quotation mark is never closed",
                hint="all that follows it was read as one text; a quotation mark within a text in quotes is written twice",
            )
    except csv.Error as error:
        raise UsageError(
            f"{path.name}, after line {reader.line_num}: not CSV ({error})",
            hint="look for a quotation mark that is never closed; texts beyond 131,072 characters need .jsonl",
        ) from error


def _ends_in_quotes(lines: Sequence[str]) -> bool:
    """Whether one more line would belong to the last record of these."""
    return len(list(csv.reader(lines))) == len(list(csv.reader([*lines, "more"]))) > 0


def _check_separator(path: Path, columns: Sequence[str]) -> None:
    """Raise where a header of one column is one of several that something else than a comma separates."""
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(columns) == 1 and mark in columns[0]:
            raise UsageError(
                f"{path.name}: its columns are separated by {name}",
                hint="save it with commas between the columns, and texts that hold a comma in double quotes",
            )


def _check_twice(path: Path, columns: Sequence[str]) -> None:
    """Raise where two columns that are read have one name: the first would be lost."""
    for name in ("text", "label", "kind", "category", "title"):
        if columns.count(name) > 1:
            raise UsageError(
                f"{path.name} has {columns.count(name)} columns `{name}`", hint="rename the others"
            )


def _json_records(path: Path, file: TextIO) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = (
                error.msg if isinstance(error, json.JSONDecodeError) else "numbers or nesting beyond reason"
            )
            raise UsageError(
                f"{path.name}, line {number}: not JSON ({reason})", hint="JSON lines has one object a line"
            ) from error
        if not isinstance(record, dict):
            raise UsageError(
                f"{path.name}, line {number}: not a JSON object",
                hint='JSON lines has one object a line, as in {"text": "...", "label": "positive"}',
            )
        yield record


def _parquet_records(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path.name} is not a Parquet file, or is damaged", hint="copy it again") from error
    yield from table.to_pylist()


def _open_bytes(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _begins_as_utf_16(path: Path) -> bool:
    with _open_bytes(path) as file:
        return file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _first_undecodable(path: Path) -> str:
    with _open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"line {number}, byte {error.start + 1}"
    return "its last character is cut off"


def read_rows(
    path: Path, *, kind: str = "review", meanings: Mapping[str, str] | None = None, labels: bool = True
) -> list[Row]:
    """Rows of one file. Labels are read by :func:`training.labels.meanings_of`, ``meanings`` being what the user said of them.

    ``labels = False`` leaves every row unlabelled, whatever the file says: for texts whose labels nobody looks at. Of a
    product title the text may stand in a column ``title``; beside a review that is its headline, and never read for it.
    Case and blanks around it do not matter in ``kind``, and ``kind`` is the one of records without any.

    :raises UsageError: the file cannot be read, a record has no text or an empty one, a column is spelled otherwise than
        those that are read, or its labels are numbers of unknown meaning.
    """
    found, empty = [], []
    read = ("label", "kind", "category") if labels else ("kind", "category")
    for number, record in enumerate(records(path), start=1):
        _check_spelling(path, record, read)
        own_kind = _word(record, "kind").strip().lower() or kind
        column = "title" if own_kind == "title" and "text" not in record else "text"
        text = record.get(column)
        if not isinstance(text, str):
            raise UsageError(
                f"{path.name}, record {number}: "
                + (
                    f"its `{column}` is no text"
                    if column in record
                    else f"no column `text`, only {', '.join(map(str, record)) or 'nothing'}"
                ),
                hint="call the column with the texts `text`, and leave out records without one; "
                "`title` is read where the kind is title",
            )
        if _is_empty(text):
            empty.append((number, column))
        found.append((text, spelled(record.get("label")) if labels else None, own_kind, record))
    if empty:
        number, column = empty[0]
        others = f" ({len(empty)} such records in all)" if len(empty) > 1 else ""
        raise UsageError(
            f"{path.name}, record {number}: its `{column}` is empty{others}",
            hint="leave out records without a text: there is nothing to learn from them, and no worker tags them",
        )
    means = meanings_of(
        {label for _, label, _, _ in found if label is not None}, meanings or {}, where=path.name
    )
    return [
        Row(
            text=_whole(text),
            label=None if label is None else means[label],
            kind=_whole(own_kind),
            category=_whole(_word(record, "category")),
            source=_whole(_word(record, "source") or set_name(path)),
        )
        for text, label, own_kind, record in found
    ]


def _check_spelling(path: Path, record: Mapping[str, Any], read: Sequence[str]) -> None:
    """Raise where a column would be read but for capitals or blanks in its name: its content would count as absent."""
    for column in record:
        plain = str(column).strip().lower()
        if plain in read and plain not in record:
            raise UsageError(
                f"{path.name}: its column `{column}` is not read, `{plain}` would be",
                hint=f"call the column `{plain}`, in small letters and without blanks, or otherwise altogether",
            )


def _is_empty(text: str) -> bool:
    """Whether nothing of it reaches the model."""
    return not text.strip() or (not text.isprintable() and not normalise(text).text)


def set_name(path: Path) -> str:
    """What the rows of a file are called: its name up to the first dot, of a hidden file the part behind that."""
    return path.name.lstrip(".").split(".")[0] or path.name


def _word(record: Mapping[str, Any], column: str) -> str:
    """What a column says as a word; empty where it says nothing. A category may be a number, 0 among them."""
    value = record.get(column)
    if isinstance(value, (int, float)):
        return "" if math.isnan(value) else str(value)
    return str(value or "")


def _whole(text: str) -> str:
    return _LONE_SURROGATES.sub("", text)


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Write rows as JSON lines (gzipped when the name ends in .gz, with no time stamp, so equal rows give equal files)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) for row in rows]
    payload = ("\n".join(lines) + "\n").encode() if lines else b""
    path.write_bytes(gzip.compress(payload, mtime=0) if path.suffix == ".gz" else payload)
    return len(lines)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def labels_by_kind(
    rows: Iterable[Row], known: Mapping[str, Iterable[str]] | None = None
) -> dict[str, tuple[str, ...]]:
    """The labels of every kind that occurs in ``rows`` or is ``known``: ours in column order where we know the kind's
    labels, else sorted.
    """
    seen = {kind: set(labels) for kind, labels in (known or {}).items()}
    for row in rows:
        if row.label is not None:
            seen.setdefault(row.kind, set()).add(row.label)
    kinds = {}
    for kind in sorted(seen):
        ours = KIND_LABELS.get(kind, ())
        kinds[kind] = ours if seen[kind] <= set(ours) else tuple(sorted(seen[kind]))
    return kinds
