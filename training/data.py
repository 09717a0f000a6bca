"""Rows of labelled text, and the files that they come from.

A row is (text, label, kind, category). Files are JSON lines, CSV or Parquet, plain or gzipped, with a column ``text`` and,
where known, ``label``, ``kind`` and ``category``; other columns are ignored.
"""

import csv
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO, cast

from worker.errors import UsageError

REVIEW_LABELS = ("negative", "positive")
TITLE_LABELS = ("negative", "neutral", "positive")
KIND_LABELS: dict[str, tuple[str, ...]] = {"review": REVIEW_LABELS, "title": TITLE_LABELS}
"""Labels of the kinds that the shipped bundle knows, in column order."""

_BINARY_SPELLINGS = {"0": "negative", "1": "positive", "neg": "negative", "pos": "positive", "neu": "neutral"}


@dataclass(frozen=True, slots=True)
class Row:
    """One text. ``label`` is None where nobody labelled it; ``source`` names the set that it came from."""

    text: str
    label: str | None = None
    kind: str = "review"
    category: str = ""
    source: str = ""


def _open_text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast("TextIO", gzip.open(path, "rt", encoding="utf-8", newline=""))
    return path.open(encoding="utf-8", newline="")


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Every record of a JSON lines, CSV or Parquet file, as it stands there.

    :raises UsageError: the file is missing, or its name or content is none of the three.
    """
    if not path.is_file():
        raise UsageError(f"no such data file: {path}")
    name = path.name.removesuffix(".gz").lower()
    if name.endswith(".parquet"):
        import pyarrow.parquet as pq

        yield from pq.read_table(path).to_pylist()
    elif name.endswith(".csv"):
        with _open_text(path) as file:
            yield from csv.DictReader(file)
    elif name.endswith((".jsonl", ".ndjson")):
        with _open_text(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except json.JSONDecodeError as error:
                        raise UsageError(f"{path.name}, line {number}: not JSON ({error.msg})") from error
    else:
        raise UsageError(
            f"cannot read {path.name}", hint="use .jsonl, .csv or .parquet (or .gz of the first two)"
        )


def read_rows(path: Path, *, kind: str = "review", spellings: Mapping[str, str] | None = None) -> list[Row]:
    """Rows of one file. ``spellings`` maps the file's labels to ours; 0/1, neg/pos are known already.

    :raises UsageError: a record has no text.
    """
    spelling = {**_BINARY_SPELLINGS, **(spellings or {})}
    rows = []
    for number, record in enumerate(records(path), start=1):
        text = record.get("text", record.get("title"))
        if not isinstance(text, str):
            raise UsageError(f"{path.name}, record {number}: no column `text`")
        raw = record.get("label")
        label = None if raw is None or raw == "" else str(raw)
        rows.append(
            Row(
                text=text,
                label=spelling.get(label, label) if label is not None else None,
                kind=str(record.get("kind") or kind),
                category=str(record.get("category") or ""),
                source=str(record.get("source") or path.name.split(".")[0]),
            )
        )
    return rows


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


def labels_by_kind(rows: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    """The labels of every kind that occurs: ours in column order where we know the kind's labels, else sorted."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        if row.label is not None:
            seen.setdefault(row.kind, set()).add(row.label)
    kinds = {}
    for kind in sorted(seen):
        known = KIND_LABELS.get(kind, ())
        kinds[kind] = known if seen[kind] <= set(known) else tuple(sorted(seen[kind]))
    return kinds


def with_text(row: Row, text: str) -> Row:
    """The same row with another text."""
    return replace(row, text=text)
