"""Scores of a model on named sets of labelled rows, beside the rows that anything must beat."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from training import model as models
from training.baseline import LinearBaseline, majority_accuracy
from training.batches import encode
from training.calibrate import fit_temperature
from training.data import Row
from training.finetune import pad_id_of
from training.metrics import Floats, Ints, confusion, score
from training.model import Columns
from training.predict import gold_of, logits_for, probabilities_of


def logits_and_gold(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    columns: Columns,
    rows: Sequence[Row],
    *,
    max_tokens: int,
    bfloat16: bool = False,
) -> tuple[Floats, Ints]:
    """Logits [rows, columns] and the gold label's index [rows]."""
    examples = encode(rows, tokenizer, columns, max_tokens=max_tokens)
    return logits_for(model, examples, columns, pad_id=pad_id_of(tokenizer), bfloat16=bfloat16), gold_of(
        examples
    )


def score_set(
    rows: Sequence[Row], logits: Floats, gold: Ints, columns: Columns, temperature: float
) -> dict[str, Any]:
    """All scores of one set of one kind: overall, per class, per category, confusion."""
    kind = rows[0].kind
    labels = columns.labels[kind]
    probabilities = probabilities_of(logits, columns.of(kind), temperature)
    result: dict[str, Any] = asdict(score(probabilities, gold, labels))
    result["majority"] = majority_accuracy([row.label or "" for row in rows])
    result["confusion"] = confusion(probabilities, gold).tolist()
    categories = sorted({row.category for row in rows if row.category})
    if len(categories) > 1:
        member = np.array([row.category for row in rows])
        result["categories"] = {
            name: asdict(score(probabilities[member == name], gold[member == name], labels))
            for name in categories
        }
    return result


def evaluate(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    columns: Columns,
    sets: Mapping[str, Sequence[Row]],
    *,
    max_tokens: int,
    temperatures: Mapping[str, float],
    bfloat16: bool = False,
) -> dict[str, dict[str, Any]]:
    """Scores of every set (each of one kind)."""
    results = {}
    for name, rows in sets.items():
        logits, gold = logits_and_gold(
            model, tokenizer, columns, rows, max_tokens=max_tokens, bfloat16=bfloat16
        )
        results[name] = score_set(rows, logits, gold, columns, temperatures.get(rows[0].kind, 1.0))
    return results


def linear_rows(train: Sequence[Row], sets: Mapping[str, Sequence[Row]]) -> dict[str, float]:
    """Accuracy of TF-IDF + logistic regression, trained on the same rows, for every set; one model a kind."""
    results: dict[str, float] = {}
    for kind in sorted({rows[0].kind for rows in sets.values()}):
        baseline = LinearBaseline.fit([row for row in train if row.kind == kind and row.label])
        for name, rows in sets.items():
            if rows[0].kind == kind:
                results[name] = baseline.accuracy(rows)
    return results


def evaluate_folder(
    folder: Path, sets: Mapping[str, Sequence[Row]], *, max_tokens: int
) -> dict[str, dict[str, Any]]:
    """Scores of a bundle (its own length limit and temperatures) or of a trained model's folder."""
    from training.export import MANIFEST, load_bundle

    if (folder / MANIFEST).is_file():
        bundle = load_bundle(folder)
        temperatures = {kind: float(entry["temperature"]) for kind, entry in bundle.manifest["kinds"].items()}
        model, tokenizer, columns = bundle.model, bundle.tokenizer, bundle.columns
        max_tokens = int(bundle.manifest["max_tokens"])
    else:
        (model, tokenizer, columns), temperatures = models.load(folder), {}
    return evaluate(model, tokenizer, columns, sets, max_tokens=max_tokens, temperatures=temperatures)


def temperatures_from(
    folder: Path, sets: Mapping[str, Sequence[Row]], *, max_tokens: int
) -> dict[str, float]:
    """The temperature of every kind that a validation set is of."""
    model, tokenizer, columns = models.load(folder)
    by_kind: dict[str, list[tuple[Floats, Ints]]] = {}
    for rows in sets.values():
        pair = logits_and_gold(model, tokenizer, columns, rows, max_tokens=max_tokens)
        by_kind.setdefault(rows[0].kind, []).append(pair)
    return {kind: fit_temperature(pairs, columns.of(kind)) for kind, pairs in by_kind.items()}
