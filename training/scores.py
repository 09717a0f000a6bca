"""Scores of what stands in a folder: a bundle, as it is served, or a trained model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training import model as models
from training.data import Row
from training.evaluate import evaluate, score_set
from training.scorer import MANIFEST, gold_of_rows, labels_for, open_bundle
from training.sets import kind_of, split_by_kind
from worker.classify.answers import LABELS


def evaluate_folder(
    folder: Path, sets: Mapping[str, Sequence[Row]], *, max_tokens: int
) -> dict[str, dict[str, Any]]:
    """Scores of a bundle (through the worker's engine, so as it is served) or of a trained model's folder.

    A bundle knows its own length limit, and a set with neutral rows is scored by its three served labels, whether the model
    has a neutral column or a neutral rule. Sets of several kinds are split as :func:`evaluate` does.

    :raises UsageError: a row has no label, or one that the model does not know.
    :raises ModelError: the bundle cannot be served.
    """
    if not (folder / MANIFEST).is_file():
        model, tokenizer, columns = models.load(folder)
        return evaluate(model, tokenizer, columns, sets, max_tokens=max_tokens, temperatures={})
    scorer = open_bundle(folder)
    results = {}
    for name, rows in split_by_kind(sets).items():
        labels = labels_for(scorer, kind_of(rows))
        by_rule = "neutral" not in labels and any(row.label == "neutral" for row in rows)
        labels = LABELS if by_rule else labels
        gold = gold_of_rows(rows, labels)
        probabilities = scorer.served(rows) if by_rule else scorer.probabilities(rows)
        results[name] = score_set(rows, probabilities, gold, labels)
    return results
