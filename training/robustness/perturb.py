"""Ways to write the same text otherwise. Pure: (text, random source) -> text; equal sources give equal results.

None of them should change a person's answer. One that finds nothing to change returns the text as it was, and such rows
are not counted.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence

from worker.traditional import SIMPLIFIED, TRADITIONAL

Perturbation = Callable[[str, random.Random], str]

_TO_TRADITIONAL = {ord(simple): full for full, simple in zip(TRADITIONAL, SIMPLIFIED, strict=True)}
_LATIN_WORD = re.compile(r"[A-Za-z]{4,}")
_CHINESE = re.compile("[一-鿿]")

HOMOGLYPHS: Mapping[str, str] = {
    "a": "а", "c": "с", "e": "е", "i": "і", "o": "о", "p": "р", "x": "х", "y": "у", "s": "ѕ", "j": "ј",
    "A": "А", "B": "В", "E": "Е", "H": "Н", "K": "К", "M": "М", "O": "О", "P": "Р", "T": "Т", "X": "Х",
    "一": "⼀", "人": "⼈", "大": "⼤", "小": "⼩", "心": "⼼", "手": "⼿", "日": "⽇", "水": "⽔", "不": "\uf967", "了": "\uf9ba",
}  # fmt: skip
"""Latin letters to their Cyrillic doubles, Chinese characters to radicals and compatibility forms that look the same."""

SOUNDALIKES: Mapping[str, str] = {
    "的": "得", "得": "的", "在": "再", "再": "在", "做": "作", "作": "做", "很": "狠", "好": "号", "质": "制",
    "量": "亮", "服": "付", "是": "事", "这": "着", "那": "哪", "家": "加", "快": "块", "差": "叉", "房": "防", "间": "见",
    "真": "针", "还": "环", "就": "旧", "都": "度", "物": "务", "和": "合", "商": "伤", "货": "或", "到": "道", "款": "宽",
}  # fmt: skip
"""Common characters to one of the same or nearly the same sound, as an input method offers them."""

BRANDS: tuple[tuple[str, ...], ...] = (
    ("华为", "小米", "苹果", "三星", "联想", "诺基亚", "荣耀", "魅族"),
    ("戴尔", "惠普", "华硕", "宏碁", "神舟", "索尼", "东芝"),
    ("海尔", "美的", "格力", "长虹", "万和", "方太", "西门子"),
    ("蒙牛", "伊利", "光明", "三元"),
    ("海飞丝", "潘婷", "清扬", "飘柔", "沙宣"),
    ("如家", "汉庭", "锦江", "七天", "速8"),
    ("当当", "京东", "卓越", "淘宝", "亚马逊"),
    ("Sony", "Canon", "Nikon", "Panasonic", "Samsung", "Toshiba", "Philips"),
    ("Dell", "HP", "Lenovo", "Toshiba", "Acer", "Asus", "Apple"),
    ("Logitech", "Microsoft", "Belkin", "Netgear", "Linksys"),
    ("Cuisinart", "KitchenAid", "Braun", "Krups", "Hamilton Beach", "DeLonghi"),
)
"""Brands of one trade each; a swap stays within the trade."""

_BRAND_GROUP = {brand: group for group in BRANDS for brand in group}
_BRAND = re.compile(
    "|".join(
        rf"\b{re.escape(brand)}\b" if brand.isascii() else re.escape(brand)
        for brand in sorted(_BRAND_GROUP, key=len, reverse=True)
    )
)


def typo(text: str, chooser: random.Random) -> str:
    """One Latin word in eight loses, doubles or swaps an inner letter; one Chinese character in sixteen sounds alike.

    At least one change where any is possible.
    """
    places = [match.span() for match in _LATIN_WORD.finditer(text)]
    places += [(index, index + 1) for index, character in enumerate(text) if character in SOUNDALIKES]
    if not places:
        return text
    wanted = max(1, round(sum(1 / 8 if end - start > 1 else 1 / 16 for start, end in places)))
    for start, end in sorted(chooser.sample(places, min(wanted, len(places))), reverse=True):
        text = text[:start] + _mistype(text[start:end], chooser) + text[end:]
    return text


def _mistype(word: str, chooser: random.Random) -> str:
    if len(word) == 1:
        return SOUNDALIKES[word]
    index = chooser.randrange(1, len(word) - 2)
    kind = chooser.choice(("drop", "double", "swap"))
    if kind == "drop":
        return word[:index] + word[index + 1 :]
    if kind == "double":
        return word[: index + 1] + word[index:]
    return word[:index] + word[index + 1] + word[index] + word[index + 2 :]


def homoglyph(text: str, chooser: random.Random) -> str:
    """A fifth of the characters that have a double become it, at least one."""
    places = [index for index, character in enumerate(text) if character in HOMOGLYPHS]
    characters = list(text)
    for index in chooser.sample(places, min(len(places), max(1, len(places) // 5))) if places else []:
        characters[index] = HOMOGLYPHS[characters[index]]
    return "".join(characters)


def zero_width(text: str, chooser: random.Random) -> str:
    """Invisible characters between a third of the characters."""
    hidden = ("\u200b", "\u200c", "\u200d", "\ufeff", "\u2060")
    return "".join(
        character + (chooser.choice(hidden) if chooser.random() < 1 / 3 else "") for character in text
    )


def full_width(text: str, chooser: random.Random) -> str:  # noqa: ARG001 - every perturbation is called alike
    """Printable ASCII in its full-width form, as Chinese keyboards write it."""
    return "".join(
        chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in text
    )


def traditional(text: str, chooser: random.Random) -> str:  # noqa: ARG001 - every perturbation is called alike
    """Chinese in traditional characters, one by one; a writer in Taiwan would choose other words here and there as well."""
    return text.translate(_TO_TRADITIONAL)


def upper_case(text: str, chooser: random.Random) -> str:  # noqa: ARG001 - every perturbation is called alike
    """All letters as capitals."""
    return text.upper()


def spaced(text: str, chooser: random.Random) -> str:
    """Blanks between a third of neighbouring Chinese characters."""
    return "".join(
        character + (" " if _CHINESE.match(character) and chooser.random() < 1 / 3 else "")
        for character in text
    ).rstrip()


def neutral_emoji(text: str, chooser: random.Random) -> str:
    """Three emoji that say nothing of good or bad: two inside, one at the end."""
    things = ("📦", "🏷️", "📱", "🕐", "🛒", "🏠")
    for _ in range(2):
        place = chooser.randrange(len(text) + 1)
        text = text[:place] + chooser.choice(things) + text[place:]
    return text + chooser.choice(things)


def emoji_flood(text: str, chooser: random.Random) -> str:
    """The text, then two hundred of one emoji that says nothing."""
    return text + chooser.choice(("📦", "🛒", "🏠")) * 200


def doubled_marks(text: str, chooser: random.Random) -> str:
    """Each full stop and comma three to five times, as hurried writers do."""
    return re.sub("[。，,.]", lambda match: match.group() * chooser.randint(3, 5), text)


def brand_swap(text: str, chooser: random.Random) -> str:
    """Every brand becomes another of its trade, the same one wherever it stands."""
    chosen: dict[str, str] = {}

    def other(match: re.Match[str]) -> str:
        brand = match.group()
        if brand not in chosen:
            chosen[brand] = chooser.choice([other for other in _BRAND_GROUP[brand] if other != brand])
        return chosen[brand]

    return _BRAND.sub(other, text)


PERTURBATIONS: Mapping[str, Perturbation] = {
    "typos": typo,
    "homoglyphs": homoglyph,
    "zero-width": zero_width,
    "full-width": full_width,
    "traditional": traditional,
    "capitals": upper_case,
    "spaced characters": spaced,
    "neutral emoji": neutral_emoji,
    "emoji flood": emoji_flood,
    "repeated marks": doubled_marks,
    "brand swap": brand_swap,
}
"""In the order of the table."""


def perturb_all(texts: Sequence[str], name: str, seed: int) -> list[str]:
    """Every text perturbed, each by a random source of its own (name, seed, position)."""
    function = PERTURBATIONS[name]
    return [function(text, random.Random(f"{name}/{seed}/{index}")) for index, text in enumerate(texts)]
