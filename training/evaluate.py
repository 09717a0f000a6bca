"""Scores of a model on named sets of labelled rows, beside the rows that anything must beat."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from training import model as models
from training.baseline import LinearBaseline, majority_accuracy
from training.batches import check_positions, encode
from training.calibrate import (
    POLAR_LOSS,
    Answered,
    Temperature,
    fit_neutral_share,
    fit_temperature,
    in_han,
)
from training.data import Row
from training.efficient.methods import positions_taken
from training.finetune import pad_id_of
from training.metrics import Floats, Ints, confusion, score
from training.model import Columns
from training.predict import logits_for, probabilities_of
from training.sets import gold_of, kind_of, labels_of_set, split_by_kind
from worker.errors import UsageError


def logits_on(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    columns: Columns,
    rows: Sequence[Row],
    *,
    max_tokens: int,
    bfloat16: bool = False,
) -> Floats:
    """Logits [rows, columns].

    :raises UsageError: a row's kind or label has no column, or a text has more tokens than the encoder has positions.
    """
    examples = encode(rows, tokenizer, columns, max_tokens=max_tokens)
    check_positions(examples, model, taken=positions_taken(model))
    return logits_for(model, examples, columns, pad_id=pad_id_of(tokenizer), bfloat16=bfloat16)


def score_set(
    rows: Sequence[Row], probabilities: Floats, gold: Ints, labels: Sequence[str]
) -> dict[str, Any]:
    """All scores of one set of one kind: overall, per class, per category, confusion."""
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
    bfloat16: bool = False,
) -> dict[str, dict[str, Any]]:
    """Scores of every set, uncalibrated; a set of several kinds is scored as one for each (``name_kind``).

    A set without neutral rows is scored as the choice between the other labels (:func:`training.sets.labels_of_set`).

    :raises UsageError: a row has no label, or a kind or label that the model does not know.
    """
    results = {}
    for name, rows in split_by_kind(sets).items():
        kind = _labelled_kind(name, rows)
        labels = labels_of_set(rows, columns.labels_of(kind))
        logits = logits_on(model, tokenizer, columns, rows, max_tokens=max_tokens, bfloat16=bfloat16)
        probabilities = probabilities_of(logits, columns.of(kind, labels))
        results[name] = score_set(rows, probabilities, gold_of(rows, labels), labels)
    return results


def linear_rows(train: Sequence[Row], sets: Mapping[str, Sequence[Row]]) -> dict[str, float]:
    """Accuracy of TF-IDF + logistic regression, trained on the same rows, for every set; one model a kind.

    :raises UsageError: ``train`` lacks two labels of a kind that is scored.
    """
    results: dict[str, float] = {}
    for kind in sorted({kind_of(rows) for rows in sets.values()}):
        own = [row for row in train if row.kind == kind and row.label]
        if len({row.label for row in own}) < 2:
            raise UsageError(
                f"the training rows do not have two labels of kind `{kind}`, so no linear model can be fitted",
                hint="give the file that the model was trained on",
            )
        baseline = LinearBaseline.fit(own)
        for name, rows in sets.items():
            if rows[0].kind == kind:
                results[name] = baseline.accuracy(rows)
    return results


@dataclass(frozen=True)
class Calibration:
    """What validation texts say of a model, by kind."""

    temperatures: dict[str, Temperature]
    neutral: dict[str, dict[str, float]] = field(default_factory=dict)
    """``share``, and what it does: ``doubtful_called_neutral``, ``polar_called_neutral`` (shares of the texts)."""


def calibrate(
    folder: Path, sets: Mapping[str, Sequence[Row]], doubtful: Sequence[Row] = (), *, max_tokens: int
) -> Calibration:
    """The temperatures of every kind that a validation set is of, and the neutral share of every kind of ``doubtful``.

    A set without neutral rows says nothing of how likely neutral is, only of the choice between the others. ``doubtful`` are
    texts that should be neutral, of kinds whose model has no neutral label; the polar texts are those of the validation sets.
    Blocks for a forward over all of them.

    :raises UsageError: a validation row has no label, a kind is not the model's, or doubtful texts are of a kind that has a
        neutral label or no validation set.
    """
    model, tokenizer, columns = models.load(folder)
    by_kind: dict[str, list[Answered]] = {}
    for name, rows in split_by_kind(sets).items():
        kind = _labelled_kind(name, rows)
        labels = labels_of_set(rows, columns.labels_of(kind))
        logits = logits_on(model, tokenizer, columns, rows, max_tokens=max_tokens)
        by_kind.setdefault(kind, []).append(
            Answered(logits[:, columns.of(kind, labels)], gold_of(rows, labels), in_han(rows))
        )
    temperatures = {kind: fit_temperature(answered) for kind, answered in by_kind.items()}
    neutral = {}
    for rows in split_by_kind({"doubtful": doubtful}).values():
        kind = kind_of(rows)
        labels = columns.labels_of(kind)
        if kind not in by_kind or "neutral" in labels:
            why = "no validation set" if kind not in by_kind else "a neutral label of its own"
            raise UsageError(
                f"doubtful texts of kind `{kind}`, which has {why}",
                hint="doubtful texts choose the neutral share of a kind with two labels, beside its validation set",
            )
        unsure = logits_on(model, tokenizer, columns, rows, max_tokens=max_tokens)[:, columns.of(kind)]
        positive = [
            probabilities_of(logits, range(len(labels)), temperatures[kind].of(han))[
                :, labels.index("positive")
            ]
            for logits, han in (
                (unsure, in_han(rows)),
                *((answered.logits, answered.han) for answered in by_kind[kind]),
            )
        ]
        share, called, lost = fit_neutral_share(
            positive[0], np.concatenate(positive[1:]), largest_loss=POLAR_LOSS
        )
        neutral[kind] = {"share": share, "doubtful_called_neutral": called, "polar_called_neutral": lost}
    return Calibration(temperatures, neutral)


def _labelled_kind(name: str, rows: Sequence[Row]) -> str:
    if any(row.label is None for row in rows):
        raise UsageError(f"the set `{name}` has rows without label", hint="leave them out")
    return kind_of(rows)
