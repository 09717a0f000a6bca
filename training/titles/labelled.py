"""The hand-labelled titles: written for this project, labelled by ``RUBRIC.md`` beside this file."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from training.data import Row

Part = Literal["development", "held_out"]
"""Functions and models may be improved by looking at ``development``; ``held_out`` is only scored."""


@dataclass(frozen=True, slots=True)
class LabelledTitle:
    """One title. ``pair`` is shared by two titles that say the same in Chinese and in English, empty for the others.

    ``edge`` marks titles whose first impression the rubric overrules.
    """

    text: str
    label: str
    category: str
    language: str
    script: str
    edge: bool
    pair: str
    part: Part


def labelled_titles(part: Part | None = None) -> list[LabelledTitle]:
    """All titles, or those of one part, in file order."""
    lines = (
        resources.files("training.titles").joinpath("labelled.jsonl").read_text(encoding="utf-8").splitlines()
    )
    titles = []
    for line in lines:
        record = json.loads(line)
        del record["kind"]
        titles.append(LabelledTitle(**record))
    return [title for title in titles if part is None or title.part == part]


def as_rows(titles: list[LabelledTitle]) -> list[Row]:
    """The titles as rows to score or to train on."""
    return [Row(title.text, title.label, "title", title.category, "written") for title in titles]


def pairs(titles: list[LabelledTitle]) -> list[tuple[LabelledTitle, LabelledTitle]]:
    """(Chinese, English) of every pair that is wholly among ``titles``."""
    members: dict[str, dict[str, LabelledTitle]] = {}
    for title in titles:
        if title.pair:
            members.setdefault(title.pair, {})[title.language] = title
    return [(pair["zh"], pair["en"]) for pair in members.values() if len(pair) == 2]
