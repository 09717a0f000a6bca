"""Traditional characters and their simplified forms: a table that the normaliser can apply once and be done."""

import unicodedata

import pytest

from worker.traditional import SIMPLIFIED, TO_SIMPLIFIED, TRADITIONAL


def test_each_character_has_one_form_which_has_none_itself() -> None:
    assert len(TO_SIMPLIFIED) == len(TRADITIONAL) == len(SIMPLIFIED) > 2_500
    assert not set(TRADITIONAL) & set(SIMPLIFIED)


def test_compatibility_forms_bring_none_of_them_back() -> None:
    for characters in (TRADITIONAL, SIMPLIFIED):
        assert unicodedata.is_normalized("NFKC", characters)


@pytest.mark.parametrize(
    ("written", "simple"),
    [
        ("這款手機質量還不錯，電池續航時間長", "这款手机质量还不错，电池续航时间长"),
        ("賣家態度惡劣，不給退費，千萬別買", "卖家态度恶劣，不给退费，千万别买"),
        ("餅乾受潮、麵條過期", "饼干受潮、面条过期"),
        ("乾淨整潔，裡面有製冰機", "干净整洁，里面有制冰机"),
        ("著名品牌的皇后杯 著作", "著名品牌的皇后杯 著作"),
    ],
)
def test_what_shops_write_becomes_what_the_mainland_writes(written: str, simple: str) -> None:
    assert written.translate(TO_SIMPLIFIED) == simple
