"""What int8 changes in a bundle's answers: the measurement that lets a worker take int8 without being asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.data import Row
from training.scorer import labels_for, open_bundle
from training.sets import gold_of, kind_of, labels_of_set, split_by_kind
from worker.classify.integers import exact_levels
from worker.classify.manifest import Int8Check
from worker.errors import ModelError


def check_int8(bundle: Path, sets: Mapping[str, Sequence[Row]]) -> Int8Check | None:
    """Serve labelled texts that the model was not trained on in float32 and in int8, both on the CPU, and compare the answers.

    Returns None where this machine cannot compute in int8, or there are no texts. Blocks for two forwards over all of them.

    :raises ModelError: the bundle cannot be served.
    :raises UsageError: a row has no label, or one that the model does not know.
    """
    try:
        levels = exact_levels()
    except ModelError:
        return None
    exact, rounded = (open_bundle(bundle, precision=precision) for precision in ("float32", "int8"))
    texts = changed = gained = 0
    for rows in split_by_kind(sets).values():
        kind = kind_of(rows)
        labels = labels_of_set(rows, labels_for(exact, kind))
        gold = gold_of(rows, labels)
        before, after = exact.served(rows), rounded.served(rows)
        texts += len(rows)
        changed += int((before.argmax(-1) != after.argmax(-1)).sum())
        was, is_right = (exact.among(labels, served, kind).argmax(-1) == gold for served in (before, after))
        gained += int(is_right.sum()) - int(was.sum())
    if not texts:
        return None
    return Int8Check(
        levels=levels, texts=texts, other_label=round(changed / texts, 5), accuracy=round(gained / texts, 5)
    )
