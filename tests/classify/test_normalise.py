"""One spelling for each text, in bounded time."""

import sys
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.classify.normalise import _DROP, MAX_CHARACTERS, _thorough, normalise

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("plain text, already normal", "plain text, already normal"),
        ("很好用", "很好用"),
        ("衣服質感很好，尺寸剛剛好，妳會喜歡", "衣服质感很好,尺寸刚刚好,你会喜欢"),
        ("著名品牌 項鍊", "著名品牌 项链"),
        ("  two\t\nspaces \u3000 folded  ", "two spaces folded"),
        ("ＦＵＬＬ　ｗｉｄｔｈ！", "FULL width!"),
        ("zero\u200bwidth\ufeff and \u202ebidi\u202c", "zerowidth and bidi"),
        ("cafe\u0301", "café"),
        ("e\u200d\u0301", "é"),
        ("nul\x00 and bell\x07", "nul and bell"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("¨", "̈"),
        ("THE WORST PURCHASE EVER!", "the worst purchase ever!"),
        ("质量好 OPPO R17 PRO", "质量好 OPPO R17 PRO"),
        ("ОК, ПЛОХО", "ОК, ПЛОХО"),
        ("thе bеst, сheap", "the best, cheap"),
        ("Вest buy", "Best buy"),
        ("cafе\u0301 THEM ALL", "café THEM ALL"),
        ("TAH\u0331 SHOUTED TWICE", "taẖ shouted twice"),
        ("", ""),
        ("\u200b\u200b", ""),
        (" ", ""),
    ],
)
def test_each_text_has_one_spelling(written: str, expected: str) -> None:
    assert normalise(written) == (expected, False)


def test_characters_stay_as_they_are_where_that_is_asked_for() -> None:
    assert normalise("質量很好\u200b，推薦", simplify=False).text == "質量很好,推薦"


@given(ANY_TEXT)
def test_a_normal_text_stays_as_it_is(text: str) -> None:
    once = normalise(text)
    assert normalise(once.text) == (once.text, False)


@given(ANY_TEXT, st.integers(3, 20))
def test_a_cut_text_is_within_the_cap_and_normal(text: str, cap: int) -> None:
    once = normalise(text, cap)
    assert len(once.text) <= cap
    assert normalise(once.text, cap) == (once.text, False)


@given(ANY_TEXT)
def test_the_result_can_be_encoded_and_has_no_odd_spaces(text: str) -> None:
    result = normalise(text).text
    result.encode()
    assert " ".join(result.split()) == result
    assert unicodedata.is_normalized("NFKC", result)


def test_no_visible_character_has_an_invisible_one_in_its_normal_form() -> None:
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if not _DROP.match(character):
            assert not _DROP.search(unicodedata.normalize("NFKC", character)), hex(point)


def test_a_long_text_keeps_its_head_and_its_tail() -> None:
    result = normalise("start " + "x" * 5_000 + " end")
    assert result.truncated
    assert len(result.text) == MAX_CHARACTERS
    assert result.text.startswith("start x")
    assert result.text.endswith("x end")


@pytest.mark.parametrize(
    "text",
    [
        "\u200b" * 1_000_000,
        "a" + "\u0301" * 10_000,
        "a" + "\u0301\u0327" * 100_000,
        "a" + "\u0301" * 5_000 + "\u0327" * 5_000,
        "\ufdfa" * 100_000,
        "好" * 10_000_000,
        " \t" * 1_000_000,
        "\u0344" * 100_000,
    ],
    ids=[
        "zero-width",
        "marks",
        "alternating marks",
        "marks to sort",
        "U+FDFA",
        "10 M characters",
        "spaces",
        "double marks",
    ],
)
def test_hostile_texts_take_bounded_time(text: str) -> None:
    started = time.process_time()
    result = normalise(text)
    assert time.process_time() - started < 0.5
    assert len(result.text) <= MAX_CHARACTERS


def test_a_visible_text_after_many_invisible_characters_is_kept() -> None:
    assert normalise("\u200b" * 1_000_000 + "good").text == "good"


@given(
    st.text(
        st.one_of(st.characters(), st.sampled_from("，！？：；（）～…  \u0301\u3000\ufe0f\u200bＡa的")),
        max_size=60,
    )
)
@example("好！")
@example("a\u0301，\u0301")
def test_the_quick_way_is_the_thorough_way(text: str) -> None:
    assert normalise(text, 40) == _thorough(text, 40)
