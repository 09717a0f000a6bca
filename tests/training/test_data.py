import csv
import gzip
from pathlib import Path

import pytest

from training.data import Row, labels_by_kind, read_rows, write_rows
from worker.errors import UsageError


def test_rows_survive_writing_and_reading(tmp_path: Path) -> None:
    rows = [Row("很好", "positive", "review", "书", "mine"), Row("杯子", None, "title", "", "mine")]
    write_rows(tmp_path / "rows.jsonl.gz", rows)
    assert read_rows(tmp_path / "rows.jsonl.gz") == rows


def test_equal_rows_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / f"{name}.jsonl.gz", [Row("好", "positive")])
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with gzip.open(tmp_path / "x.csv.gz", "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["text", "label"], ["很好, 真的", "1"], ["差", "0"]])
    pq.write_table(pa.table({"text": ["很好, 真的", "差"], "label": [1, 0]}), tmp_path / "x.parquet")
    expected = [Row("很好, 真的", "positive", source="x"), Row("差", "negative", source="x")]
    assert read_rows(tmp_path / "x.csv.gz") == expected
    assert read_rows(tmp_path / "x.parquet") == expected


def test_a_record_without_text_names_its_number(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"label": 1}\n')
    with pytest.raises(UsageError, match="record 2"):
        read_rows(tmp_path / "x.jsonl")


def test_labels_that_we_do_not_know_are_sorted() -> None:
    rows = [Row("a", "5"), Row("b", "1"), Row("c", "positive", "title"), Row("d", "negative", "title")]
    assert labels_by_kind(rows) == {"review": ("1", "5"), "title": ("negative", "neutral", "positive")}
