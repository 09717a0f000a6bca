"""The reviews written for this project: trades and turns of phrase that the public sets lack, labelled by ``RUBRIC.md``."""

import json
from importlib import resources
from typing import Literal

from training.data import Row

Part = Literal["train", "validation", "held_out"]
"""``validation`` is of the trades of ``train``, and a part of its own so that reviews written later move none of it.
``held_out`` is of other trades, and is only scored."""

SOURCE = "written"
"""What `Row.source` says of them."""


def written_reviews(part: Part) -> list[Row]:
    """All reviews of one part, in file order; the category is the trade. Labels are negative, neutral and positive."""
    lines = (
        resources.files("training.reviews").joinpath(f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    )
    records = [json.loads(line) for line in lines]
    return [Row(record["text"], record["label"], "review", record["trade"], SOURCE) for record in records]
