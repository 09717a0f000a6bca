"""The word lists find what they should and leave facts alone."""

import time

import pytest

from worker.classify.normalise import normalise
from worker.signals import lexicons
from worker.signals.lexicons import aspects, title_findings


@pytest.mark.parametrize(
    "title",
    [
        "史上最好用的保温杯",
        "全网销量第一 充电宝",
        "国家级品质 茶叶",
        "顶级真皮沙发",
        "最便宜的数据线",
        "The best pillow you can buy",
        "No.1 gaming mouse",
        "NO 1 choice",
        "#1 rated blender",
        "World's finest chocolate",
        "Lowest price guaranteed",
        "全网销量NO.1保温杯",
        "No.1保温杯",
        "同类产品#1推荐",
        "The best保温杯",
    ],
)
def test_superlative_claims_are_found(title):
    assert title_findings(title).claims


@pytest.mark.parametrize(
    "title", ["全網銷量第一 充電寶", "國家級品質 茶葉", "頂級真皮沙發", "遙遙領先 行動電源", "史上最強檯燈"]
)
def test_claims_in_traditional_characters_are_found(title):
    assert title_findings(normalise(title).text).claims


@pytest.mark.parametrize(
    "title",
    [
        "閒置 電競椅",
        "二手 有劃痕",
        "展示機 9成新 相機",
        "展示品出清",
        "官方整新機 耳機",
        "福利品 吸塵器",
        "轉讓 樣品 包裝破損",
    ],
)
def test_conditions_in_traditional_characters_are_found(title):
    assert title_findings(normalise(title).text).disclosed


@pytest.mark.parametrize(
    "title", ["無劃痕、磕碰 全新", "沒有任何損壞", "非福利品", "平整新款連身裙", "防刮痕 保護貼"]
)
def test_denials_in_traditional_characters_disclose_nothing(title):
    assert not title_findings(normalise(title).text).disclosed


@pytest.mark.parametrize(
    ("review", "found"),
    [
        ("充電就冒煙，還漏電", "safety"),
        ("用了過敏，皮膚發紅", "safety"),
        ("是假貨吧，盜版", "authenticity"),
        ("做工粗糙，用兩天就壞了", "quality"),
        ("出貨太慢，宅配到的時候都壓爛了", "delivery"),
        ("賣家不退費", "service"),
        ("太貴了，不值", "price"),
        ("實物和圖片不一樣", "description"),
    ],
)
def test_aspects_in_traditional_characters_are_found(review, found):
    assert found in aspects(normalise(review).text)


def test_a_claim_is_not_hidden_by_letters_that_look_latin():
    assert not title_findings("The Вest pillow").claims
    assert title_findings(normalise("The Вest pillow").text).claims


@pytest.mark.parametrize(
    "title",
    [
        "2026最新款手机壳",
        "最大承重100斤 书架",
        "第一次做妈妈 孕妇书",
        "高级感连衣裙",
        "Best before 2027, organic oats",
        "Asbestos-free gloves",
        "Model no. 12 filter",
        "Bestway pool pump",
        "First aid kit",
        "The mug no one else makes",
        "万能遥控器 电视通用",
        "极品飞车 游戏光盘",
        "Best friends necklace",
    ],
)
def test_facts_are_not_claims(title):
    assert not title_findings(title).claims


@pytest.mark.parametrize(
    "title",
    [
        "九成新 相机",
        "95新 手机",
        "二手书",
        "屏幕有划痕 平板",
        "已拆封 手机",
        "有故障 相机",
        "Refurbished laptop",
        "Used bike, dented",
        "Laptop, scratched lid",
        "Cracked screen phone",
        "Damaged box, kettle",
        "used相机",
        "iPhone refurbished手机",
        "屏幕cracked手机",
        "99新手机 国行",
        "几成新 自行车",
        "not new, second-hand bike",
    ],
)
def test_disclosed_conditions_are_found(title):
    assert title_findings(title).disclosed


@pytest.mark.parametrize(
    "title",
    [
        "no dents or scratches",
        "No dents and scratches, brand new",
        "No dents, cracks or scratches",
        "no dents,scratches",
        "no dents/scratches",
        "without chips nor deep scratches",
        "neither dented nor scratched",
        "not used, opened or repaired",
        "never worn or damaged",
        "无磕碰、划痕",
        "没有划痕和磕碰",
        "无划痕磕碰 平板",
        "无任何划痕或者掉漆",
        "防磕碰划痕 手机壳",
        "非二手、翻新 手机",
        "不是二手或翻新",
    ],
)
def test_a_denial_reaches_over_a_list(title):
    assert not title_findings(title).disclosed


@pytest.mark.parametrize(
    "title",
    [
        "no dents but scratched",
        "no dents, light scratches",
        "no dents and minor scratches",
        "No cracks, scratches on the lid",
        "no scratches, dented corner",
        "no scratches or dents, used twice",
        "not used, scratched lid",
        "not refurbished, used",
        "无磕碰、轻微划痕",
        "无划痕、九成新",
        "无划痕，磕碰两处",
        "无划痕和磕碰 二手",
        "未拆封闲置",
        "非二手翻新机",
    ],
)
def test_a_denial_ends_where_something_else_is_told(title):
    assert title_findings(title).disclosed


@pytest.mark.parametrize(
    "title",
    [
        "全新正品 相机",
        "青岚 X3 手机 全新未拆封",
        "防划痕手机壳",
        "无划痕 平板",
        "不掉漆 水杯",
        "耐磨防刮 防磕碰 行李箱",
        "汽车故障诊断仪",
        "有修身效果的连衣裙",
        "2019新款",
        "Unused stamps",
        "Never used drill",
        "Chair, can be used outdoors",
        "Scarf that can be worn as a shawl",
        "Crackers, salted",
        "Cracked pepper grinder",
        "scratch-resistant phone case",
        "anti-scratch film",
        "Mask for damaged hair",
        "全新手机 非二手 非翻新",
        "玉镯 完美无瑕疵",
        "不是二手",
        "绝非二手 相机",
        "拒绝翻新机",
        "没有损坏 水壶",
        "非9成新 全新相机",
        "No defects, brand new",
        "no dents, not refurbished",
        "Not second-hand, never worn",
        "Lens without scratches, zero cracks",
        "not damaged, defect-free",
        "满199新人立减",
        "满99新用户立减",
        "199新款连衣裙",
        "夏季99新品",
        "合成新材料 外套",
    ],
)
def test_new_goods_disclose_nothing(title):
    assert not title_findings(title).disclosed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("质量太差，用两天就坏了", {"quality"}),
        ("快递慢，客服态度差", {"delivery", "service"}),
        ("太贵了，还是假货", {"price", "authenticity"}),
        ("颜色和图片不符", {"description"}),
        ("充电时冒烟，吓死了", {"safety"}),
        ("充电器burnt了", {"safety"}),
        ("收到fake的", {"authenticity"}),
        ("屏幕cracked了", {"quality"}),
        ("一直没有delivery记录", {"delivery"}),
        ("要求refund三次", {"service"}),
        ("overpriced的东西", {"price"}),
        ("颜色not as想的", {"description"}),
        ("It broke after a day and the seller refused a refund", {"quality", "service"}),
        ("Parcel never came", {"delivery"}),
        ("Overpriced, not as described", {"price", "description"}),
        ("Gave my son an allergic rash", {"safety"}),
        ("A counterfeit, for sure", {"authenticity"}),
        ("Lovely", set()),
        ("", set()),
    ],
)
def test_aspects_of_complaints(text, expected):
    assert aspects(text) == expected


def test_only_short_texts_are_remembered():
    held = lexicons._recurring.cache_info().currsize
    long = "the parcel never came " * 20
    assert aspects(long) == {"delivery"}
    assert lexicons._recurring.cache_info().currsize == held
    assert aspects("a parcel that nobody wrote of before never came") == {"delivery"}
    assert lexicons._recurring.cache_info().currsize == min(held + 1, lexicons.RECURRING)
    titles = lexicons._recurring_title.cache_info().currsize
    assert title_findings("the best lamp " * 20).claims
    assert lexicons._recurring_title.cache_info().currsize == titles


@pytest.mark.parametrize(
    "unit",
    ["最", "a", "no", "best ", "第一", "not ", "9", "does not ", "no dents, ", "no dents or ", "无划痕"],
)
def test_no_text_makes_an_expression_slow(unit):
    text = (unit * 2_000)[:2_000]
    started = time.perf_counter()
    title_findings(text)
    aspects(text)
    assert time.perf_counter() - started < 0.25
