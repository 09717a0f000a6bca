"""Scores of what stands in a folder: a bundle, as it is served, or a trained model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training import model as models
from training.data import Row
from training.efficient.store import load_with_base
from training.evaluate import evaluate, score_set
from training.scorer import labels_for, open_bundle
from training.sets import gold_of, kind_of, labels_of_set, split_by_kind
from worker.classify.answers import LABELS
from worker.classify.manifest import MANIFEST


def evaluate_folder(
    folder: Path, sets: Mapping[str, Sequence[Row]], *, max_tokens: int, base: str | None = None
) -> dict[str, dict[str, Any]]:
    """Scores of a bundle (through the worker's engine, so as it is served), of a trained model's folder, or of adapters upon
    ``base``.

    A bundle knows its own length limit, and serves three labels whether the model has a neutral column or a neutral rule.
    It also tells the ``precision`` that it answered in, and of a set without neutral rows how many are served as neutral
    (``called_neutral``, a share). Sets of several kinds are split as :func:`evaluate` does.

    :raises UsageError: a row has no label, or one that the model does not know.
    :raises ModelError: the bundle cannot be served.
    """
    if base or not (folder / MANIFEST).is_file():
        model, tokenizer, columns = load_with_base(base, folder) if base else models.load(folder)
        return evaluate(model, tokenizer, columns, sets, max_tokens=max_tokens)
    scorer = open_bundle(folder)
    results = {}
    for name, rows in split_by_kind(sets).items():
        labels = labels_of_set(rows, labels_for(scorer, kind_of(rows)))
        gold, served = gold_of(rows, labels), scorer.served(rows)
        results[name] = score_set(rows, scorer.among(labels, served, kind_of(rows)), gold, labels)
        results[name]["precision"] = scorer.engine.precision
        if "neutral" not in labels:
            results[name]["called_neutral"] = float((served.argmax(-1) == LABELS.index("neutral")).mean())
    return results
