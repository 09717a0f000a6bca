"""More rows from the rows there are: synonyms, swaps, deletions (EDA, Wei and Zou 2019), and a hook for back-translation.

The label must survive, so turn words and negations are never touched. A word is a run of Latin letters, or one Chinese
character where the text has no spaces; swaps and deletions of Chinese characters are rarer because each costs more meaning.
"""

import importlib
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from training.data import Row
from worker.errors import UsageError

UNTOUCHABLE = frozenset(
    (
        *(
            "not",
            "no",
            "never",
            "none",
            "nothing",
            "nobody",
            "nowhere",
            "neither",
            "nor",
            "cannot",
            "without",
        ),
        *(
            "hardly",
            "barely",
            "scarcely",
            "rarely",
            "seldom",
            "few",
            "little",
            "less",
            "least",
            "lack",
            "lacks",
        ),
        *(
            "too",
            "only",
            "fails",
            "failed",
            "refuse",
            "refuses",
            "unless",
            "instead",
            "rather",
            "if",
            "would",
        ),
        *("dont", "doesnt", "didnt", "cant", "couldnt", "wont", "wouldnt", "isnt", "wasnt", "arent", "aint"),
        *("but", "however", "although", "though", "yet", "except", "despite", "still"),
        *"不没无非未别勿莫毋难否缺少仅甭休",
        *"但可虽却然而反倒",
    )
)
"""Negations, words that weaken, and turns: to move or drop one may flip the label."""

NEAR = 4
"""So many words (in Chinese, characters) on both sides of one of them stay as well: what it negates stands there."""

SYNONYMS: Mapping[str, Sequence[str]] = {
    "good": ("nice", "fine", "great"),
    "great": ("excellent", "terrific", "wonderful"),
    "bad": ("poor", "awful"),
    "terrible": ("awful", "horrible"),
    "cheap": ("inexpensive", "low-priced"),
    "fast": ("quick", "speedy"),
    "slow": ("sluggish",),
    "broken": ("defective", "damaged"),
    "buy": ("purchase", "order"),
    "item": ("product", "article"),
    "不错": ("挺好", "还可以", "蛮好"),
    "很好": ("非常好", "特别好", "相当好"),
    "喜欢": ("中意", "喜爱"),
    "便宜": ("实惠", "划算"),
    "质量": ("品质", "做工"),
    "物流": ("快递", "配送"),
    "客服": ("售后", "卖家"),
    "失望": ("不满意", "扫兴"),
    "垃圾": ("很差", "糟糕"),
    "推荐": ("安利", "值得买"),
}
"""A small table written for the project; a larger one is passed in where somebody has it."""

_TOKENS = re.compile(r"[A-Za-z'\u2019]+|[\u4e00-\u9fff]|[^\sA-Za-z'\u2019\u4e00-\u9fff]+|\s+")

BackTranslate = Callable[[str], str]
"""A text to a paraphrase of it, by way of another language. The project ships no translator; bring one. It must say the same
each time, or a run that was cut off finds other rows and is refused.
"""


def back_translation(name: str) -> BackTranslate:
    """The function that ``MODULE:FUNCTION`` names. Runs that module.

    :raises UsageError: Python finds no such module on its path, or no such function in it.
    """
    module, _, function = name.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"--back-translate {name}: {error}",
            hint="as in mine:paraphrase, where PYTHONPATH names the folder of mine.py",
        ) from error

    def paraphrase(text: str) -> str:
        said = found(text) if callable(found) else None
        if not isinstance(said, str):
            raise UsageError(
                f"--back-translate {name} gives no text", hint="it is a function from a text to a text"
            )
        return said

    return paraphrase


@dataclass(frozen=True)
class Augmentation:
    """How much of a text is changed."""

    copies: int = 1
    """Changed copies of each labelled row; the original is kept."""
    synonym_share: float = 0.3
    """Chance that a word with known synonyms is replaced."""
    swap_share: float = 0.05
    delete_share: float = 0.05


def augmented(
    rows: Sequence[Row],
    config: Augmentation,
    *,
    seed: int,
    back_translate: BackTranslate | None = None,
) -> list[Row]:
    """The rows, and after each its changed copies; a copy equal to its original is left out. Deterministic by seed."""
    chooser = random.Random(seed)
    result: list[Row] = []
    for row in rows:
        result.append(row)
        if row.label is None:
            continue
        copies = _copies(row.text, config, chooser, back_translate)
        result.extend(replace(row, text=text) for text in copies if text and text != row.text)
    return result


def _copies(
    text: str,
    config: Augmentation,
    chooser: random.Random,
    back_translate: BackTranslate | None,
) -> Iterator[str]:
    for _ in range(config.copies):
        yield changed(text, config, chooser)
    if back_translate is not None:
        yield back_translate(text)


def changed(text: str, config: Augmentation, chooser: random.Random) -> str:
    """One changed copy of a text."""
    for word, others in SYNONYMS.items():
        pattern = rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word)
        if chooser.random() < config.synonym_share and re.search(pattern, text, re.IGNORECASE):
            text = re.sub(pattern, chooser.choice(list(others)), text, count=1, flags=re.IGNORECASE)
    tokens = _TOKENS.findall(text)
    movable = _movable(tokens)
    droppable = set(movable) if len(movable) > 4 else set()
    for index in movable:
        if chooser.random() < config.swap_share:
            other = chooser.choice(movable)
            tokens[index], tokens[other] = tokens[other], tokens[index]
    kept = [
        token
        for index, token in enumerate(tokens)
        if not (index in droppable and chooser.random() < config.delete_share)
    ]
    return "".join(kept).strip()


def _movable(tokens: Sequence[str]) -> list[int]:
    """Positions of the words that may go elsewhere: none that negates or turns, nor a near one. Only words count."""
    words = [index for index, token in enumerate(tokens) if token[0].isalpha()]
    fixed = [position for position, index in enumerate(words) if _untouchable(tokens[index])]
    near = {position + step for position in fixed for step in range(-NEAR, NEAR + 1)}
    return [index for position, index in enumerate(words) if position not in near]


def _untouchable(token: str) -> bool:
    word = token.lower().replace("\u2019", "'")
    return word in UNTOUCHABLE or word.endswith("n't")
