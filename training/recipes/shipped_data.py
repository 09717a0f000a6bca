"""The data of the shipped bundle: from a folder of public sets, and what was written and labelled for the project, to splits
without leaks.

Test sets: ChnSentiCorp's test texts (and its clean rows), 5 % of online_shopping, 1,000 of Blitzer's reviews, SST-2's dev
rows, the aspect sets' test files, the written reviews of trades that were held out, a tenth of the titles. No text of them, and
no copy, is in anything trained on. SST-2 is never trained on. A headline goes with its review: where the review is held
out, so is its headline.
"""

import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from training.data import Row, records
from training.prepare import Prepared, check_no_leak, deduplicate, script_key, take_share, without
from training.recipes.augment_form import sentences, vary_form
from training.reviews.judged import take_judged
from training.reviews.written import written_reviews
from training.titles.functions import tone_of
from worker.classify.sentiment import has_han

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


class _HeldOut(NamedTuple):
    """What is scored on, and what is left of the sets that it was taken from."""

    test: dict[str, list[Row]]
    validation: dict[str, list[Row]]
    shopping: list[Row]
    amazon: list[Row]
    headlines: list[Row]
    titles: list[Row]

    @property
    def rows(self) -> list[Row]:
        """All that nothing may be trained on."""
        return [row for splits in (self.test, self.validation) for rows in splits.values() for row in rows]


def prepare_shipped(folder: Path) -> Prepared:
    """All splits of the shipped bundle's training, checked for leaks.

    Splits: ``train``, ``unlabelled``, ``written``, ``judged``, ``validation_*``, ``test_*``, and ``validated``: the texts of the
    validation splits that were judged, with that label.
    """
    sets = read_sets(folder)
    counts: dict[str, int] = {}
    held_out = _hold_out(sets, counts)
    trained_on = _to_train_on(sets, held_out, counts)
    validated = [row for rows in held_out.validation.values() for row in rows if row.kind == "review"]
    splits = {
        **trained_on,
        "validated": take_judged(validated)[0],
        **held_out.validation,
        **held_out.test,
    }
    everything = [row for rows in trained_on.values() for row in rows]
    for name, rows in {**held_out.validation, **held_out.test}.items():
        check_no_leak({"trained on": everything, name: rows})
    return Prepared(splits, counts | {name: len(rows) for name, rows in splits.items()})


def _hold_out(sets: dict[str, list[Row]], counts: dict[str, int]) -> _HeldOut:
    """Take the test rows first, then the validation rows, without copies of either in the other; adds to ``counts``.

    Drawn by :func:`training.prepare.script_key`, so that they stay what they were; what is trained on is without their
    copies in either script.
    """
    deduplicated = partial(deduplicate, key_of=script_key)
    apart_from = partial(without, key_of=script_key)
    share_of = partial(take_share, key_of=script_key)
    chn_test, chn_dev, sst2 = sets["chn_test"], sets["chn_dev"], sets["sst2_dev"]
    test_written = written_reviews("held_out")

    shopping, counts["shopping_copies"], counts["shopping_conflicts"] = deduplicated(sets["shopping"])
    shopping, counts["shopping_dropped_as_chn_test"] = apart_from(shopping, chn_test)
    test_shop, shopping = share_of(shopping, round(0.05 * len(sets["shopping"])), seed=SEED)
    chn_dev, counts["chn_dev_dropped_as_test"] = apart_from(
        deduplicated(chn_dev)[0], [*chn_test, *sst2, *test_written, *test_shop]
    )
    shopping, counts["shopping_dropped_as_chn_dev"] = apart_from(shopping, chn_dev)
    validation_shop, shopping = share_of(shopping, 1_500, seed=SEED + 1)
    # As the test set's clean rows: copies within ChnSentiCorp often carry another label.
    validation_chn, counts["chn_dev_dropped_as_copies"] = apart_from(chn_dev, sets["chn_train"])

    headline_of = {id(row): headline for row, headline in zip(sets["amazon"], sets["headline"], strict=True)}
    amazon, counts["amazon_copies"], counts["amazon_conflicts"] = deduplicated(sets["amazon"])
    test_amazon, amazon = share_of(amazon, 1_000, seed=SEED + 2)
    validation_amazon, amazon = share_of(amazon, 400, seed=SEED + 3)
    headlines, validation_headlines = (
        [headline_of[id(row)] for row in rows if headline_of[id(row)].text.strip()]
        for rows in (amazon, validation_amazon)
    )

    titles = deduplicated(sets["title"])[0]
    test_title, titles = share_of(titles, 1_200, seed=SEED + 4)
    validation_title, titles = share_of(titles, 500, seed=SEED + 5)

    test = {
        "test_chn": chn_test,
        "test_shop": test_shop,
        "test_amazon": test_amazon,
        "test_sst2": sst2,
        "test_aspect_zh": deduplicated(sets["aspect_zh_test"])[0],
        "test_aspect_en": deduplicated(sets["aspect_en_test"])[0],
        "test_written": test_written,
        "test_title": test_title,
    }
    tested = [row for rows in test.values() for row in rows]
    validation = {
        "validation_chn": validation_chn,
        "validation_shop": validation_shop,
        "validation_amazon": validation_amazon,
        "validation_headline": deduplicated(validation_headlines)[0],
        "validation_written": written_reviews("validation"),
        "validation_title": validation_title,
    }
    validation = {name: apart_from(rows, tested)[0] for name, rows in validation.items()}
    return _HeldOut(test, validation, shopping, amazon, headlines, titles)


def _to_train_on(
    sets: dict[str, list[Row]], held_out: _HeldOut, counts: dict[str, int]
) -> dict[str, list[Row]]:
    """The splits ``train``, ``unlabelled``, ``written`` and ``judged``, without what is held out; adds to ``counts``."""
    held = held_out.rows
    chooser = random.Random(SEED)
    english = [*held_out.amazon, *held_out.headlines, *sets["aspect_en_train"]]
    chinese = [*held_out.shopping, *sets["chn_train"], *sets["aspect_zh_train"]]
    labelled, counts["train_copies"], counts["train_conflicts"] = deduplicate([*chinese, *english])
    labelled, counts["train_dropped_as_held_out"] = without(labelled, held)
    is_english = {id(row) for row in english}
    labelled = [
        replace(row, text=vary_form(row.text, chooser)) if id(row) in is_english else row for row in labelled
    ]
    titles, counts["titles_dropped_as_held_out"] = without(
        with_written_conditions(held_out.titles, chooser), held
    )

    pool = [
        Row(vary_form(part, chooser), None, "review", "", "amazon_sentence")
        for row in held_out.amazon
        for part in sentences(row.text)
    ]
    chooser.shuffle(pool)
    unlabelled = deduplicate([*sets["unlabelled"], *pool[:ENGLISH_SENTENCES]])[0]
    unlabelled, counts["unlabelled_dropped_as_held_out"] = without(unlabelled, [*held, *labelled])
    corrected, labelled = take_judged(labelled)
    judged, unlabelled = take_judged(unlabelled)
    written, counts["written_dropped_as_held_out"] = without(deduplicate(written_reviews("train"))[0], held)
    return {
        "train": [*labelled, *titles],
        "unlabelled": unlabelled,
        "written": written,
        "judged": [*corrected, *judged],
    }


def with_written_conditions(titles: list[Row], chooser: random.Random) -> list[Row]:
    """Titles plus copies into which a condition or a promotion was written, since shops rarely show the former.

    The tone of a copy is what the labelling functions say of it, as for every other title.
    """
    made = []
    for row in titles:
        draw = chooser.random()
        if draw > 0.2:
            continue
        chinese = has_han(row.text)
        conditions, praise = (_CONDITIONS_ZH, _PRAISE_ZH) if chinese else (_CONDITIONS_EN, _PRAISE_EN)
        phrase = chooser.choice(conditions if draw < 0.14 else praise)
        gap = chooser.choice(("", " ")) if chinese else " "
        text = f"{phrase}{gap}{row.text}" if chooser.random() < 0.6 else f"{row.text}{gap}{phrase}"
        text = text.lower() if not chinese and chooser.random() < 0.3 else text
        made.append(replace(row, text=text, label=tone_of(text), source="titles_written"))
    return [*titles, *made]
