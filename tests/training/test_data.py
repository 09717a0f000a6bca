import csv
import errno
import gzip
import json
import os
from pathlib import Path

import pytest

from training.data import Row, labels_by_kind, read_rows, write_rows
from training.labels import check_servable, parse_meanings
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


def test_a_file_that_this_user_may_not_look_at_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: bool) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(Path, "is_file", os.path.isfile)  # Python 3.14's, which hides every refusal
    with pytest.raises(PermissionError):
        read_rows(Path("locked/rows.jsonl"))


def test_a_record_without_text_names_its_number(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"label": 1}\n')
    with pytest.raises(UsageError, match="record 2"):
        read_rows(tmp_path / "x.jsonl")


def test_labels_that_we_do_not_know_are_sorted() -> None:
    rows = [Row("a", "5"), Row("b", "1"), Row("c", "positive", "title"), Row("d", "negative", "title")]
    assert labels_by_kind(rows) == {"review": ("1", "5"), "title": ("negative", "neutral", "positive")}


def _labels(path: Path, *labels: object, given: dict[str, str] | None = None) -> list[str | None]:
    path.write_text(
        "".join(json.dumps({"text": str(n), "label": label}) + "\n" for n, label in enumerate(labels))
    )
    return [row.label for row in read_rows(path, meanings=given)]


def test_zero_and_one_are_sentiment_only_where_no_other_label_is(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    assert _labels(path, 0, 1, None) == ["negative", "positive", None]
    assert _labels(path, True, "1.0", 0.0) == ["positive", "positive", "negative"]
    for labels in ((0, 1, 2), (-1, 0, 1), (1, 2, 3, 4, 5), (1, "good")):
        with pytest.raises(UsageError, match="do not say") as error:
            _labels(path, *labels)
        assert "--label" in str(error.value.hint)


def test_labels_are_read_whatever_their_case_and_no_label_is_none(tmp_path: Path) -> None:
    labels = _labels(tmp_path / "x.jsonl", "Positive", " NEG ", "pos", "", float("nan"), None)
    assert labels == ["positive", "negative", "positive", None, None, None]


def test_the_user_says_what_stars_mean(tmp_path: Path) -> None:
    given = parse_meanings(["1=negative", "2.0=negative", "3=", "4=positive", "5=Positive"])
    labels = _labels(tmp_path / "x.jsonl", 1, 2, 3, 4, 5, given=given)
    assert labels == ["negative", "negative", None, "positive", "positive"]
    given = parse_meanings(["0=negative", "1=neutral", "2=positive"])
    assert _labels(tmp_path / "x.jsonl", 0, 1, given=given) == ["negative", "neutral"]
    for wrong in ("3", "=positive", "3=good"):
        with pytest.raises(UsageError, match="RAW=MEANING"):
            parse_meanings([wrong])


def test_texts_can_be_read_without_their_labels(tmp_path: Path) -> None:
    _labels(tmp_path / "x.jsonl", "a", "b")
    (tmp_path / "stars.csv").write_text("text,label\nfine,3\n")
    assert read_rows(tmp_path / "stars.csv", labels=False) == [Row("fine", source="stars")]


def test_labels_that_no_worker_serves_are_refused() -> None:
    check_servable({"review": ("negative", "positive"), "title": ("negative", "neutral", "positive")})
    for labels in (("camera", "phone"), ("negative", "neutral"), ("positive",)):
        with pytest.raises(UsageError, match="kind `review`"):
            check_servable({"review": labels})


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "gbk.csv": ("text,label\nfine,1\n很好,1\n".encode("gbk"), "line 3"),
    "list.jsonl": (b'{"text": "a"}\n["a"]\n', "line 2: not a JSON object"),
    "half.jsonl": (b'{"text": "a"\n', "line 1: not JSON"),
    "long.csv": (b"text,label\n" + b"a" * 131_073 + b",1\n", "not CSV"),
    "wide.csv": ("text,label\nfine,1\n".encode("utf-16"), r"wide\.csv is not UTF-8 \(line 1, byte 1\)"),
    "semicolon.csv": (
        b"text;label\nfine, really;1\n",
        r"semicolon\.csv: its columns are separated by semicolons",
    ),
    "tab.csv": (b"text\tlabel\nfine\t1\n", r"tab\.csv: its columns are separated by tabs"),
    "open.csv": (
        b'text,label\nfine,1\n"never closed,1\nbad,0\nawful,0\n',
        r"open\.csv, line 3: a quotation mark is never",
    ),
    "open_header.csv": (b'"text,label\nfine,1\n', r"open_header\.csv, line 1: a quotation mark is never"),
    "comma.csv": (b"text,label\nfine, really,1\n", "line 2: more cells"),
    "headline.csv": (b"label,title,review\n1,Nice,It broke\n", "no column `text`, only label, title, review"),
    "named.csv": (b"review,label\nfine,1\n", "record 1: no column `text`, only review, label"),
    "null.jsonl": (b'{"text": null}\n', "record 1"),
    "empty.csv": (b"text,label\nfine,1\n  ,0\n", r"empty\.csv, record 2: its `text` is empty"),
    "several.csv": (
        b"text,label\nfine,1\n,0\nbad,0\n ,\n,1\n",
        r"record 2: its `text` is empty \(3 such records in all\)$",
    ),
    "invisible.csv": ("text,label\n\u200b\u200b,0\n".encode(), r"record 1: its `text` is empty"),
    "capitals.csv": (b"text,Label\nfine,1\n", "its column `Label` is not read, `label` would be"),
    "blank.csv": (b"text,label, kind\nfine,1,title\n", "its column ` kind` is not read"),
    "later.jsonl": (b'{"text": "a", "label": 1}\n{"text": "b", "Label": 0}\n', "its column `Label`"),
    "twice.csv": (b"text,label,text\nfine,1,bad\n", r"twice\.csv has 2 columns `text`"),
    "bad.parquet": (b"PAR1 and no more", "bad.parquet is not a Parquet file"),
    "bad.jsonl.gz": (b"no gzip", "cannot be read"),
    "cut.jsonl.gz": (gzip.compress(b'{"text": "a"}\n' * 100)[:-9], "cannot be read"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_with_the_place_and_the_remedy(tmp_path: Path, name: str) -> None:
    content, said = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said) as error:
        read_rows(tmp_path / name)
    assert name in error.value.message
    assert error.value.hint


def test_a_folder_is_told_from_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder") as error:
        read_rows(tmp_path)
    assert error.value.hint
    with pytest.raises(UsageError, match="no such data file"):
        read_rows(tmp_path / "x.jsonl")


def test_a_label_that_nobody_reads_may_be_spelled_as_it_likes(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,Label,Source\nfine,good,shop\n")
    assert read_rows(tmp_path / "x.csv", labels=False) == [Row("fine", source="x")]


def test_a_title_may_stand_in_a_column_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"title": "a"}\n{"title": "b", "text": "c", "kind": "title"}\n')
    assert [row.text for row in read_rows(tmp_path / "x.jsonl", kind="title")] == ["a", "c"]
    with pytest.raises(UsageError, match="record 1: no column `text`, only title"):
        read_rows(tmp_path / "x.jsonl")


def test_a_kind_is_one_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,kind\na,Review\nb, TITLE \nc,\nd,  \n")
    assert [row.kind for row in read_rows(tmp_path / "x.csv")] == ["review", "title", "review", "review"]
    assert [row.kind for row in read_rows(tmp_path / "x.csv", kind="title")][2:] == ["title", "title"]


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,label\n很好,1\n", encoding="utf-8-sig")
    assert read_rows(tmp_path / "x.csv") == [Row("很好", "positive", source="x")]


def test_half_a_character_is_left_out_of_a_row(tmp_path: Path) -> None:
    half = chr(0xD83D)
    record = {"text": f"fine{half} phone \U0001f600", "label": 1, "category": half}
    (tmp_path / "x.jsonl").write_text(json.dumps(record) + "\n")
    rows = read_rows(tmp_path / "x.jsonl")
    assert rows == [Row("fine phone \U0001f600", "positive", source="x")]
    write_rows(tmp_path / "y.jsonl.gz", rows)
    assert read_rows(tmp_path / "y.jsonl.gz") == rows


def test_the_remedy_names_the_encoding_that_a_file_begins_in(tmp_path: Path) -> None:
    for encoding, name in (("utf-16", "UTF-16"), ("gbk", "GB18030")):
        (tmp_path / "x.csv").write_bytes("text,label\n很好,1\n".encode(encoding))
        with pytest.raises(UsageError) as error:
            read_rows(tmp_path / "x.csv")
        assert f"iconv -f {name} " in str(error.value.hint)


def test_a_column_of_texts_alone_may_hold_any_mark(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text\ngood; really\n")
    assert read_rows(tmp_path / "x.csv") == [Row("good; really", source="x")]


def test_a_category_may_be_zero_and_what_is_no_number_is_no_word(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a", "b", "c"], "category": [0, 1, None]}), tmp_path / "x.parquet")
    assert [row.category for row in read_rows(tmp_path / "x.parquet")] == ["0", "1", ""]
    record = {"text": "a", "kind": float("nan"), "category": float("nan"), "source": float("nan")}
    (tmp_path / "y.jsonl").write_text(json.dumps(record) + "\n")
    assert read_rows(tmp_path / "y.jsonl") == [Row("a", source="y")]


def test_rows_of_a_hidden_file_are_called_by_its_name(tmp_path: Path) -> None:
    from training.sets import labelled_sets

    rows = [Row("a", "positive", source="mine")]
    for name in (".mine.jsonl", "mine.v2.jsonl"):
        write_rows(tmp_path / name, [Row("a", "positive")])
        assert read_rows(tmp_path / name) == rows
        assert labelled_sets([tmp_path / name]) == {"mine": rows}


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_file_may_end_with_a_text_in_quotes(tmp_path: Path, end: str) -> None:
    written = 'label,text\n1,"fine ""phone""\r\nreally"\n0,"bad\n"' + end
    (tmp_path / "x.csv").write_bytes(written.encode())
    assert [row.text for row in read_rows(tmp_path / "x.csv")] == ['fine "phone"\r\nreally', "bad\n"]
    for nothing in ("", end):
        (tmp_path / "x.csv").write_bytes(nothing.encode())
        assert read_rows(tmp_path / "x.csv") == []
