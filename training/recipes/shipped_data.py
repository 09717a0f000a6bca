"""The data of the shipped bundle: from a folder of public sets, and what was written and labelled for the project, to splits
without leaks.

Test sets: ChnSentiCorp's test texts (and its clean rows), 5 % of online_shopping, 1,000 of Blitzer's reviews, SST-2's dev
rows, the aspect sets' test files, the written reviews of trades that were held out, a tenth of the titles. No text of them, and
no copy, is in anything trained on. SST-2 is never trained on. A headline goes with its review: where the review is held
out, so is its headline.
"""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.data import Row, records
from training.prepare import Prepared, check_no_leak, deduplicate, script_key, take_share, without
from training.recipes.augment_form import sentences, vary_form
from training.reviews.judged import take_judged
from training.reviews.written import written_reviews
from training.titles.functions import tone_of

SEED = 20_261_123
ENGLISH_SENTENCES = 36_000
"""Unlabelled English sentences for distillation: about 0.9 M tokens."""

_POLARITY = {"0": "negative", "1": "positive"}
_CONDITIONS_ZH = (
    "二手",
    "瑕疵",
    "有划痕",
    "清仓",
    "清倉",
    "九成新",
    "福利品",
    "展示机",
    "微瑕处理",
    "断码",
    "临期",
    "翻新",
    "尾货",
    "出清",
    "撤柜",
    "掉漆",
)
_CONDITIONS_EN = (
    "used",
    "refurbished",
    "clearance",
    "open box",
    "second hand",
    "damaged box",
    "scratched",
    "as is",
    "for parts",
    "pre-owned",
    "overstock",
    "defective",
)
_PRAISE_EN = (
    "best seller",
    "hot sale",
    "must have",
    "amazing",
    "limited edition",
    "premium",
    "special offer",
    "stunning",
    "luxury",
    "trending",
)
_PRAISE_ZH = ("爆款", "热卖", "必备神器", "超值", "人气推荐", "网红", "疯抢", "特惠", "限时优惠", "顶级")


def read_sets(folder: Path) -> dict[str, list[Row]]:
    """Every set that the recipe uses, by name, as rows."""

    def load(name: str) -> list[dict[str, Any]]:
        return list(records(folder / f"{name}.jsonl.gz"))

    def polarity(name: str, source: str) -> list[Row]:
        return [
            Row(r["text"], _POLARITY[str(r["label"])], "review", str(r.get("category", "")), source)
            for r in load(name)
        ]

    sets = {
        "shopping": polarity("zh_online_shopping", "online_shopping"),
        "chn_train": polarity("zh_chnsenticorp_train", "chnsenticorp"),
        "chn_dev": polarity("zh_chnsenticorp_dev", "chnsenticorp"),
        "chn_test": [
            Row(
                r["text"],
                _POLARITY[str(r["label"])],
                "review",
                "clean" if r["clean"] else "copied",
                "chnsenticorp",
            )
            for r in load("zh_chnsenticorp_test")
        ],
        "sst2_dev": polarity("en_sst2_dev", "sst2"),
        "unlabelled": [Row(r["text"], None, "review", "", "fewclue") for r in load("zh_unlabelled_reviews")],
        "amazon": polarity("en_amazon_4_domains", "amazon"),
    }
    headlines = load("en_amazon_4_domains")
    sets["headline"] = [
        Row(
            str(r.get("headline") or ""),
            _POLARITY[str(r["label"])],
            "review",
            str(r["category"]),
            "amazon_headline",
        )
        for r in headlines
    ]
    for part, suffix_en in (("train", "train"), ("test", "test_gold")):
        rows = []
        for name in ("laptops", "restaurants"):
            rows += _unanimous(load(f"en_aspect_{name}_{suffix_en}"), f"semeval_{name}")
        sets[f"aspect_en_{part}"] = rows
        rows = []
        for name in ("phone", "camera", "car", "notebook", "hair"):
            rows += _unanimous(load(f"zh_aspect_{name}_{part}"), f"aspect_{name}")
        sets[f"aspect_zh_{part}"] = rows
    titles = [r["title"] for name in ("zh_titles_weidian", "zh_titles_shopee") for r in load(name)]
    pairs = load("zh_en_title_pairs_shopee")
    titles += [pair["zh"] for pair in pairs] + [pair["en"] for pair in pairs]
    titles += [r["title"] for r in records(folder / "en_fusion_wish_2020.csv.gz")]
    sets["title"] = [Row(text, tone_of(text), "title", "", "titles") for text in titles if text]
    return sets


def _unanimous(rows: list[dict[str, Any]], source: str) -> list[Row]:
    """Sentences whose aspects are all positive or all negative, with the aspect put back in its place."""
    tones: dict[str, set[str]] = {}
    for row in rows:
        tones.setdefault(row["text"].replace("$T$", row["aspect"]), set()).add(row["sentiment"])
    return [
        Row(text, next(iter(tone)), "review", source, source)
        for text, tone in tones.items()
        if len(tone) == 1 and tone <= {"negative", "positive"}
    ]


def prepare_shipped(folder: Path) -> Prepared:
    """All splits of the shipped bundle's training, checked for leaks.

    Splits: ``train``, ``unlabelled``, ``written``, ``judged``, ``validation_*``, ``test_*``, and ``validated``: the texts of the
    validation splits that were judged, with that label. What is held out is drawn by :func:`training.prepare.script_key`, and what is
    trained on is without copies of it in either script.
    """
    sets = read_sets(folder)
    counts: dict[str, int] = {}
    chn_test, chn_dev, sst2 = sets["chn_test"], sets["chn_dev"], sets["sst2_dev"]
    test_written = written_reviews("held_out")
    held: list[Row] = [*chn_test, *sst2, *test_written]

    shopping, counts["shopping_copies"], counts["shopping_conflicts"] = deduplicate(
        sets["shopping"], script_key
    )
    shopping, counts["shopping_dropped_as_chn_test"] = without(shopping, chn_test, script_key)
    test_shop, shopping = take_share(
        shopping, round(0.05 * len(sets["shopping"])), seed=SEED, key_of=script_key
    )
    held += test_shop
    chn_dev, counts["chn_dev_dropped_as_test"] = without(
        deduplicate(chn_dev, script_key)[0], held, script_key
    )
    shopping, counts["shopping_dropped_as_chn_dev"] = without(shopping, chn_dev, script_key)
    validation_shop, shopping = take_share(shopping, 1_500, seed=SEED + 1, key_of=script_key)
    # As the test set's clean rows: copies within ChnSentiCorp often carry another label.
    validation_chn, counts["chn_dev_dropped_as_copies"] = without(chn_dev, sets["chn_train"], script_key)

    pairs = list(zip(sets["amazon"], sets["headline"], strict=True))
    by_review = {id(review): headline for review, headline in pairs}
    amazon, counts["amazon_copies"], counts["amazon_conflicts"] = deduplicate(sets["amazon"], script_key)
    test_amazon, amazon = take_share(amazon, 1_000, seed=SEED + 2, key_of=script_key)
    validation_amazon, amazon = take_share(amazon, 400, seed=SEED + 3, key_of=script_key)
    headlines = [by_review[id(row)] for row in amazon if by_review[id(row)].text.strip()]
    validation_headlines = [
        by_review[id(row)] for row in validation_amazon if by_review[id(row)].text.strip()
    ]

    titles = deduplicate(sets["title"], script_key)[0]
    test_title, titles = take_share(titles, 1_200, seed=SEED + 4, key_of=script_key)
    validation_title, titles = take_share(titles, 500, seed=SEED + 5, key_of=script_key)

    aspect_zh_test = deduplicate(sets["aspect_zh_test"], script_key)[0]
    aspect_en_test = deduplicate(sets["aspect_en_test"], script_key)[0]
    held += [*test_amazon, *test_title, *aspect_zh_test, *aspect_en_test]
    validation_parts = {
        "validation_chn": validation_chn,
        "validation_shop": validation_shop,
        "validation_amazon": validation_amazon,
        "validation_headline": deduplicate(validation_headlines, script_key)[0],
        "validation_written": written_reviews("validation"),
        "validation_title": validation_title,
    }
    for name, rows in validation_parts.items():
        validation_parts[name] = without(rows, held, script_key)[0]
    validation = [row for rows in validation_parts.values() for row in rows]

    chooser = random.Random(SEED)
    english = [*amazon, *headlines, *sets["aspect_en_train"]]
    chinese = [*shopping, *sets["chn_train"], *sets["aspect_zh_train"]]
    labelled, counts["train_copies"], counts["train_conflicts"] = deduplicate([*chinese, *english])
    labelled, counts["train_dropped_as_held_out"] = without(labelled, [*held, *validation])
    is_english = {id(row) for row in english}
    labelled = [
        replace(row, text=vary_form(row.text, chooser)) if id(row) in is_english else row for row in labelled
    ]
    titles, counts["titles_dropped_as_held_out"] = without(
        with_written_conditions(titles, chooser), held + validation
    )

    pool = [
        Row(vary_form(part, chooser), None, "review", "", "amazon_sentence")
        for r in amazon
        for part in sentences(r.text)
    ]
    chooser.shuffle(pool)
    unlabelled = deduplicate([*sets["unlabelled"], *pool[:ENGLISH_SENTENCES]])[0]
    unlabelled, counts["unlabelled_dropped_as_held_out"] = without(
        unlabelled, [*held, *validation, *labelled]
    )
    corrected, labelled = take_judged(labelled)
    judged, unlabelled = take_judged(unlabelled)
    written, counts["written_dropped_as_held_out"] = without(
        deduplicate(written_reviews("train"))[0], [*held, *validation]
    )

    splits = {
        "train": [*labelled, *titles],
        "unlabelled": unlabelled,
        "written": written,
        "judged": [*corrected, *judged],
        "validated": take_judged(row for row in validation if row.kind == "review")[0],
        **validation_parts,
        "test_chn": chn_test,
        "test_shop": test_shop,
        "test_amazon": test_amazon,
        "test_sst2": sst2,
        "test_aspect_zh": aspect_zh_test,
        "test_aspect_en": aspect_en_test,
        "test_written": test_written,
        "test_title": test_title,
    }
    trained_on = [*splits["train"], *unlabelled, *written, *splits["judged"]]
    for name, rows in splits.items():
        if name.startswith(("test_", "validation_")):
            check_no_leak({"trained on": trained_on, name: rows})
    return Prepared(splits, counts | {name: len(rows) for name, rows in splits.items()})


def with_written_conditions(titles: list[Row], chooser: random.Random) -> list[Row]:
    """Titles plus copies into which a condition or a promotion was written, since shops rarely show the former.

    The tone of a copy is what the labelling functions say of it, as for every other title.
    """
    made = []
    for row in titles:
        draw = chooser.random()
        if draw > 0.2:
            continue
        chinese = any("一" <= character <= "鿿" for character in row.text)
        conditions, praise = (_CONDITIONS_ZH, _PRAISE_ZH) if chinese else (_CONDITIONS_EN, _PRAISE_EN)
        phrase = chooser.choice(conditions if draw < 0.14 else praise)
        gap = chooser.choice(("", " ")) if chinese else " "
        text = f"{phrase}{gap}{row.text}" if chooser.random() < 0.6 else f"{row.text}{gap}{phrase}"
        text = text.lower() if not chinese and chooser.random() < 0.3 else text
        made.append(replace(row, text=text, label=tone_of(text), source="titles_written"))
    return [*titles, *made]
