import pytest

from training.data import Row
from training.titles.functions import tone_of
from training.titles.labelled import labelled_titles
from training.titles.phrases import checked, phrases
from training.titles.written import with_phrases

TITLES = [Row(f"不锈钢保温杯 500ml {number} 号 蓝色", "neutral", "title") for number in range(60)]
TITLES += [Row(f"Steel flask 500 ml, model {number}, blue", "neutral", "title") for number in range(60)]


@pytest.mark.parametrize("tone", ["negative", "neutral", "positive"])
@pytest.mark.parametrize("chinese", [True, False])
def test_the_functions_read_every_phrase_as_it_was_meant(tone: str, chinese: bool) -> None:
    assert len(phrases(tone, chinese=chinese)) >= 25
    with pytest.raises(ValueError, match="not"):
        checked("二手", "neutral")


def test_copies_carry_the_tone_that_the_functions_see() -> None:
    made = with_phrases(TITLES, share=1.0, seed=1)
    assert len(made) == len(TITLES)
    assert all(row.label == tone_of(row.text) and row.kind == "title" for row in made)
    assert {row.label for row in made} == {"negative", "neutral", "positive"}
    assert made == with_phrases(TITLES, share=1.0, seed=1)


def test_no_copy_is_one_of_the_hand_labelled_titles() -> None:
    written = {row.text for row in with_phrases(TITLES, share=1.0, seed=2)}
    assert not written & {title.text for title in labelled_titles()}


def test_a_title_gets_phrases_of_its_own_language() -> None:
    english = [row for row in with_phrases(TITLES, share=1.0, seed=3) if "flask" in row.text]
    assert english
    assert all(row.text.isascii() for row in english)
