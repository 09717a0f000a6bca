"""Texts to measure with: unique, as long as real reviews and titles are, the same for the same seed. Pure.

Seven in ten are Chinese, eight in ten are reviews. Lengths follow a log-normal distribution in clauses: about 35 tokens on
average for the shipped tokenizer, half of them below 30, one in a hundred beyond 110.
"""

import random
from collections.abc import Iterator
from typing import Literal, NamedTuple

from worker.bench import phrases

CHINESE_SHARE = 0.7
REVIEW_SHARE = 0.8
_CLAUSES_MU = 0.8
_CLAUSES_SIGMA = 0.7
"""Of the logarithm of a review's number of clauses."""
_MOST_CLAUSES = 9
"""Up to about 130 tokens."""


class BenchText(NamedTuple):
    """One text, as it would stand in an event."""

    kind: Literal["title", "review"]
    language: Literal["zh", "en"]
    text: str


def unique_texts(count: int, seed: int) -> list[BenchText]:
    """`count` different texts; a larger count begins with the same texts."""
    texts: list[BenchText] = []
    seen: set[str] = set()
    for text in _endless(random.Random(seed)):
        if len(texts) == count:
            break
        if text.text not in seen:
            seen.add(text.text)
            texts.append(text)
    return texts


def _endless(source: random.Random) -> Iterator[BenchText]:
    while True:
        chinese = source.random() < CHINESE_SHARE
        review = source.random() < REVIEW_SHARE
        text = _review(source, chinese) if review else _title(source, chinese)
        yield BenchText("review" if review else "title", "zh" if chinese else "en", text)


def _title(source: random.Random, chinese: bool) -> str:
    pattern = source.choice(phrases.ZH_TITLES if chinese else phrases.EN_TITLES)
    return _filled(source, pattern, chinese, largest=9_999)


def _review(source: random.Random, chinese: bool) -> str:
    wanted = min(_MOST_CLAUSES, max(1, round(source.lognormvariate(_CLAUSES_MU, _CLAUSES_SIGMA))))
    clauses = source.sample(phrases.ZH_CLAUSES if chinese else phrases.EN_CLAUSES, wanted)
    endings = phrases.ZH_ENDINGS if chinese else phrases.EN_ENDINGS
    parts = []
    for number, clause in enumerate(clauses, start=1):
        # Shoppers run clauses together with commas and end a sentence now and then.
        ends = number == wanted or source.random() < 0.4
        mark = source.choice(endings) if ends else ("，" if chinese else ",")
        parts.append(_filled(source, clause, chinese, largest=99) + mark)
    return ("" if chinese else " ").join(parts)


def _filled(source: random.Random, pattern: str, chinese: bool, *, largest: int) -> str:
    return pattern.format(
        product=source.choice(phrases.ZH_PRODUCTS if chinese else phrases.EN_PRODUCTS),
        who=source.choice(phrases.ZH_WHO if chinese else phrases.EN_WHO),
        number=source.randint(2, largest),
    )
