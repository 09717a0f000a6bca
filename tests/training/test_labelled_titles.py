import pytest

from training.prepare import text_key
from training.titles.functions import resolve, tone_of, voters
from training.titles.harmless import telling_part
from training.titles.labelled import as_rows, labelled_titles, pairs
from training.titles.scores import render, score_all, score_tones

TITLES = labelled_titles()


def test_there_are_over_four_hundred_titles_and_no_two_alike() -> None:
    assert len(TITLES) >= 400
    assert len({text_key(title.text) for title in TITLES}) == len(TITLES)


def test_neither_language_nor_any_tone_is_rare() -> None:
    for language in ("zh", "en"):
        own = [title for title in TITLES if title.language == language]
        assert 0.4 < len(own) / len(TITLES) < 0.6
        for tone in ("negative", "neutral", "positive"):
            assert sum(title.label == tone for title in own) / len(own) > 0.2
    assert sum(title.script == "hant" for title in TITLES) >= 50


def test_two_titles_of_a_pair_have_one_label_and_one_part() -> None:
    both = pairs(TITLES)
    assert len(both) >= 150
    for chinese, english in both:
        assert (chinese.label, chinese.part, chinese.category) == (
            english.label,
            english.part,
            english.category,
        )


def test_no_text_stands_in_both_parts() -> None:
    keys = [
        {text_key(row.text) for row in as_rows(labelled_titles(part))} for part in ("development", "held_out")
    ]
    assert not keys[0] & keys[1]
    assert all(keys)


def test_the_functions_agree_with_the_labels_on_both_parts() -> None:
    scores = score_all()
    assert scores["development"].accuracy >= 0.95
    assert scores["held_out"].accuracy >= 0.93
    assert scores["all"].by_group["edge"] >= 0.9


def test_translations_mostly_get_one_tone() -> None:
    assert score_all()["all"].consistent_pairs >= 0.92


def test_a_function_s_precision_counts_its_wrong_votes() -> None:
    used = [title for title in TITLES if any(function.name == "used_zh" for function in voters(title.text))]
    wrong = [title for title in TITLES if title.label == "neutral" and title not in used][:1]
    score = next(f for f in score_tones([*used, *wrong]).functions if f.name == "used_zh")
    assert score.votes == len(used)
    assert score.precision == sum(title.label == "negative" for title in used) / len(used)


def test_condition_outweighs_promotion() -> None:
    assert resolve(["positive", "negative"]) == "negative"
    assert resolve([]) == "neutral"


@pytest.mark.parametrize(
    ("title", "tone"),
    [
        ("汽车划痕修复膏", "neutral"),
        ("车门有划痕的遥控车", "negative"),
        ("Stain remover spray", "neutral"),
        ("Shirt, small stain", "negative"),
        ("全新 非二手 相机", "neutral"),
        ("支持7天无理由退换货 口红", "neutral"),
        ("退货处理 口红", "negative"),
        ("Super Glue 3 g", "neutral"),
        ("Super soft blanket", "positive"),
        ("情侣同款 卫衣", "neutral"),
        ("明星同款 卫衣", "positive"),
    ],
)
def test_a_telling_word_counts_only_where_it_tells(title: str, tone: str) -> None:
    assert tone_of(title) == tone


def test_what_tells_is_left_when_the_harmless_is_blanked() -> None:
    assert telling_part("二手 无划痕 相机").split() == ["二手", "相机"]


def test_the_table_has_a_row_for_every_part_and_function() -> None:
    text = render(score_all())
    for name in ("development", "held_out", "all", "hype_en", "clearance_zh"):
        assert f"| {name} |" in text
