"""Splits without leaks.

Two texts are the same when what a model reads of them is equal in lower case with everything that is not a letter or a digit
dropped. A text that stands in a test or validation split never stands in train; a text that carries two labels stands nowhere.
"""

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from training.data import Row
from worker.classify.normalise import normalise
from worker.errors import UsageError

SPLITS = ("train", "validation", "test")
TextKey = Callable[[str], str]
"""What two copies of a text have in common."""
_NON_WORD = re.compile(r"[\W_]+")


class LeakError(UsageError):
    """Two splits that must be apart share texts."""


@lru_cache(maxsize=2**18)
def text_key(text: str) -> str:
    """What two copies of a text have in common, whatever their case, spacing, punctuation and width, script, and letters
    that look alike.

    Remembered, since splits are compared with each other many times: some 15 us a text, and all texts of the shipped model
    at once.
    """
    return plain_key(normalise(text).text)


@lru_cache(maxsize=2**18)
def script_key(text: str) -> str:
    """The same, but a text and its copy in traditional characters are two. The shipped splits were drawn by it, when the
    model read both apart: drawn by :func:`text_key`, others would be held out than the shipped weights were trained without.
    """
    return plain_key(normalise(text, simplify=False).text)


def plain_key(text: str) -> str:
    """The same of the text as it is written. The hashes of :mod:`training.reviews.judged` are of this, so it stays as it is."""
    return _NON_WORD.sub("", text.lower()) or text.strip()


def deduplicate(rows: Iterable[Row], key_of: TextKey = text_key) -> tuple[list[Row], int, int]:
    """Rows without copies (texts of one key) and without texts that carry two labels within a kind.

    Of a text with and without label the labelled row stays.

    Returns (rows in first-seen order, copies dropped, rows dropped because their labels disagree).
    """
    first: dict[tuple[str, str], Row] = {}
    labels: dict[tuple[str, str], set[str]] = {}
    total = 0
    for row in rows:
        total += 1
        key = (row.kind, key_of(row.text))
        kept = first.setdefault(key, row)
        if row.label is not None:
            labels.setdefault(key, set()).add(row.label)
            if kept.label is None:
                first[key] = row
    single = [row for key, row in first.items() if len(labels.get(key, ())) <= 1]
    return single, total - len(first), len(first) - len(single)


def check_no_leak(splits: Mapping[str, Sequence[Row]]) -> None:
    """Raise unless no text stands in two splits.

    :raises LeakError: with the number of shared texts of the first pair that shares any.
    """
    keys = {name: {text_key(row.text) for row in rows} for name, rows in splits.items()}
    names = list(keys)
    for index, left in enumerate(names):
        for right in names[index + 1 :]:
            shared = len(keys[left] & keys[right])
            if shared:
                raise LeakError(
                    f"{shared} texts stand both in `{left}` and in `{right}`",
                    hint="run `tagline train prepare` on the files together; it drops them from train and counts them",
                )


def without(
    rows: Iterable[Row], held_out: Iterable[Row], key_of: TextKey = text_key
) -> tuple[list[Row], int]:
    """Rows whose text is in none of ``held_out``, and how many were dropped."""
    rows = list(rows)
    keys = {key_of(row.text) for row in held_out}
    kept = [row for row in rows if key_of(row.text) not in keys]
    return kept, len(rows) - len(kept)


def take_share(
    rows: Sequence[Row], count: int, *, seed: int, key_of: TextKey = text_key
) -> tuple[list[Row], list[Row]]:
    """Split off ``count`` rows at random, the same share of every (kind, label, category). Returns (taken, rest).

    Rows that share a text (as a review and as a title) go to the same side, in the group of the first of them.
    """
    groups: dict[tuple[str, str | None, str], list[str]] = {}
    seen: set[str] = set()
    keys = [key_of(row.text) for row in rows]
    for key, row in zip(keys, rows, strict=True):
        if key not in seen:
            seen.add(key)
            groups.setdefault((row.kind, row.label, row.category), []).append(key)
    shuffler = random.Random(seed)
    share = count / max(1, len(rows))
    taken: set[str] = set()
    for group in sorted(groups, key=str):
        members = groups[group]
        shuffler.shuffle(members)
        # Stochastic rounding: many small groups must not all round down to nothing.
        exact = len(members) * share
        size = int(exact) + (shuffler.random() < exact - int(exact))
        taken.update(members[:size])
    return (
        [row for key, row in zip(keys, rows, strict=True) if key in taken],
        [row for key, row in zip(keys, rows, strict=True) if key not in taken],
    )


@dataclass
class Prepared:
    """Splits and how they came about."""

    splits: dict[str, list[Row]]
    counts: dict[str, int] = field(default_factory=dict)


def prepare(
    rows: Sequence[Row],
    *,
    validation_share: float,
    test_share: float,
    seed: int,
    test_rows: Sequence[Row] = (),
    validation_rows: Sequence[Row] = (),
) -> Prepared:
    """Deduplicate and split. Given test or validation rows are kept as they are, and their copies leave train.

    :raises LeakError: the given test and validation rows share texts.
    """
    check_no_leak({"validation": validation_rows, "test": test_rows})
    labelled, copies, conflicts = deduplicate(rows)
    labelled, dropped = without(labelled, [*test_rows, *validation_rows])
    total = len(labelled)
    test = list(test_rows)
    validation = list(validation_rows)
    if not test:
        test, labelled = take_share(labelled, round(total * test_share), seed=seed)
    if not validation:
        validation, labelled = take_share(labelled, round(total * validation_share), seed=seed + 1)
    splits = dict(zip(SPLITS, (labelled, validation, test), strict=True))
    check_no_leak(splits)
    counts = {name: len(split) for name, split in splits.items()}
    counts |= {"copies_dropped": copies, "label_conflicts_dropped": conflicts, "dropped_as_held_out": dropped}
    return Prepared(splits, counts)
