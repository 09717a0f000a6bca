"""Rows that a tiny model learns in seconds."""

import random

from training.data import Row

GOOD = ["好", "很好", "喜欢", "满意", "great", "love", "good"]
BAD = ["差", "很差", "失望", "退货", "bad", "awful", "broken"]
FILLER = ["手机", "衣服", "酒店", "物流", "书", "phone", "hotel", "book", "the", "is", "、", ",", "."]


def make_rows(count: int, seed: int) -> list[Row]:
    """Reviews whose polarity is the one strong word in them, no two alike."""
    chooser = random.Random(seed)
    rows: dict[str, Row] = {}
    while len(rows) < count:
        positive = chooser.random() < 0.5
        words = chooser.choices(FILLER, k=chooser.randint(2, 12))
        words.insert(chooser.randint(0, len(words)), chooser.choice(GOOD if positive else BAD))
        text = " ".join(words)
        rows[text] = Row(text, "positive" if positive else "negative", "review", words[0])
    return list(rows.values())
