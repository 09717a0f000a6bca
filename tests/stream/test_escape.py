"""Nothing that somebody else wrote can draw on the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.stream.escape import hexdump, printable


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain", "plain"),
        ("质量很好".encode(), "质量很好"),
        (None, "(none)"),
        (b"two\nlines\x1b[31m", r"two\nlines\x1b[31m"),
        ("a\u202eb\u200b\u2028", r"a\u202eb\u200b\u2028"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_invisible_characters_and_foreign_bytes_are_escaped(data: bytes | str | None, shown: str) -> None:
    assert printable(data) == shown


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_anything_becomes_one_printable_line(data: bytes | str) -> None:
    shown = printable(data)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


def test_a_hexdump_shows_offsets_bytes_and_ascii() -> None:
    assert hexdump(b"0123456789abcdef\xff\n") == [
        "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef",
        "00000010  ff 0a" + " " * 42 + "  ..",
    ]
