"""Titles that disclose or promote, made by writing phrases into collected ones."""

import random
from collections.abc import Sequence
from dataclasses import replace

from training.data import Row
from training.titles.functions import tone_of
from training.titles.phrases import phrases
from worker.classify.sentiment import has_han

TONES = ("negative", "negative", "neutral", "positive")
"""Which phrase a copy gets, drawn evenly: conditions are rarest in collected titles, so they come twice."""
SHORTENED = 0.3
"""Share of the copies that keep only the title's first words: a condition weighs more in a short title."""


def with_phrases(titles: Sequence[Row], *, share: float, seed: int) -> list[Row]:
    """Copies of a ``share`` of the titles, each with one phrase before, after or inside; labelled by the functions.

    Pure; equal seeds give equal copies.
    """
    chooser = random.Random(seed)
    texts = {
        (tone, chinese): phrases(tone, chinese=chinese) for tone in set(TONES) for chinese in (False, True)
    }
    made = []
    for row in titles:
        if chooser.random() >= share:
            continue
        chinese = has_han(row.text)
        title = row.text
        if chooser.random() < SHORTENED:
            title = (
                title[: chooser.randint(8, 16)]
                if chinese
                else " ".join(title.split()[: chooser.randint(2, 5)])
            )
        phrase = chooser.choice(texts[chooser.choice(TONES), chinese])
        text = _join(title, phrase, chooser, chinese=chinese)
        made.append(replace(row, text=text, label=tone_of(text), source="titles_written"))
    return made


def _join(title: str, phrase: str, chooser: random.Random, *, chinese: bool) -> str:
    gap = chooser.choice((" ", " ", "") if chinese else (" ", ", ", " - "))
    place = chooser.random()
    if place < 0.4:
        return f"{phrase}{gap}{title}"
    words = title.split()
    if place > 0.8 and len(words) > 2:
        middle = chooser.randrange(1, len(words))
        return " ".join([*words[:middle], phrase, *words[middle:]])
    return f"{title}{gap}{phrase}"
