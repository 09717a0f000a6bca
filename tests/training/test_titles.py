from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.cli import app
from training.data import Row, write_rows
from training.titles.functions import FUNCTIONS, tone_of


@pytest.mark.parametrize(
    ("title", "tone"),
    [
        ("不锈钢保温杯 500ml 白色", "neutral"),
        ("夏季爆款短袖 百搭显瘦", "positive"),
        ("二手单反相机 九成新", "negative"),
        ("爆款大衣 断码清仓", "negative"),
        ("USB-C cable, 2 m", "neutral"),
        ("Best seller yoga mat", "positive"),
        ("Refurbished laptop 14 inch", "negative"),
        ("Causedroid toy robot", "neutral"),
        ("Tablet, no dents or scratches", "neutral"),
        ("Tablet, not dented, scratched or cracked", "neutral"),
        ("Tablet, no dents, light scratches", "negative"),
        ("平板 无磕碰、划痕", "neutral"),
        ("平板 没有划痕和磕碰", "neutral"),
        ("平板 无磕碰、轻微划痕", "negative"),
    ],
)
def test_the_tone_of_a_title_follows_from_its_words(title: str, tone: str) -> None:
    assert tone_of(title) == tone


def test_the_same_title_in_two_languages_has_one_tone() -> None:
    pairs = [
        ("二手相机", "Used camera"),
        ("清仓 外套", "Clearance coat"),
        ("热卖 水壶", "Hot sale kettle"),
        ("木椅", "Wooden chair"),
    ]
    assert [tone_of(zh) for zh, _ in pairs] == [tone_of(en) for _, en in pairs]


def test_coverage_and_conflict_are_shares_of_all_titles_of_a_file(tmp_path: Path) -> None:
    rows = [Row(text, None, "title") for text in ("二手 爆款 手机", "二手书", "木椅", "铁锅")]
    write_rows(tmp_path / "shop.jsonl", [*rows, Row("二手，很好", None, "review")])
    printed = CliRunner().invoke(app, ["titles", str(tmp_path / "shop.jsonl")], catch_exceptions=False).output
    assert "| shop.jsonl | 4 | 50.0 % | 25.0 % | 50.0 % | 50.0 % | 0.0 % |\n" in printed


def test_function_names_are_unique() -> None:
    assert len({function.name for function in FUNCTIONS}) == len(FUNCTIONS)
