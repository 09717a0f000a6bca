"""Labels given for the project, by ``RUBRIC.md``, to texts of the public sets: unlabelled ones, and labelled training texts whose
label the model could not believe.

The texts stay where they are: a label is kept under a hash of what all copies of its text have in common.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from importlib import resources

from training.data import Row
from training.prepare import plain_key

SOURCE = "judged"
"""What `Row.source` says of them."""
_DIGITS = 16


def text_hash(text: str) -> str:
    """Under which a label is kept: the same for every case, spacing and punctuation of the text."""
    return hashlib.sha256(plain_key(text).encode()).hexdigest()[:_DIGITS]


def labels() -> dict[str, str]:
    """All labels (negative, neutral, positive) by the hash of their text."""
    lines = (
        resources.files("training.reviews").joinpath("judged.jsonl").read_text(encoding="utf-8").splitlines()
    )
    return {record["text"]: record["label"] for record in map(json.loads, lines)}


def take_judged(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """The rows that were labelled, with their labels, and the others; both in the order of ``rows``."""
    known = labels()
    judged, others = [], []
    for row in rows:
        label = known.get(text_hash(row.text))
        if label is None:
            others.append(row)
        else:
            judged.append(replace(row, label=label, source=SOURCE))
    return judged, others
