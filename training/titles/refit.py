"""Learn the title columns anew on a frozen encoder.

The tones of titles change more often than the encoder can be trained: a rule is corrected, a phrase is added. The columns
of a kind are its own, so the answers to reviews stay the same to the bit. Measured on the shipped model's teacher with
4,000 titles: 73.6 to 82.6 % on the hand-labelled titles.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import BertForSequenceClassification

from training import model as models
from training.batches import check_positions, encode, in_batches
from training.data import Row
from training.finetune import pad_id_of
from training.metrics import Floats
from training.runs import copy_max_tokens
from training.titles.functions import tone_of
from training.titles.written import with_phrases
from worker.classify.sentiment import has_han
from worker.errors import UsageError

KIND = "title"
STRENGTH = 3.0
"""Inverse of the weights' penalty. Of 3, 10 and 30 none is better on the hand-labelled titles by more than their noise."""
NEUTRAL_WEIGHT = 2.0
"""How much a neutral title counts. Half of the rows have a phrase written in, of real titles nine in ten are neutral: without it
plain English titles came out negative."""
LATIN_WEIGHT = 5.0
"""How much a title without Chinese characters counts: one in seven of the rows. On the development half of the hand-labelled
titles 3 and 3 with 8,000 rows give 75.7 % right, 3 and 3 with 16,000 77.3, 2 and 3 78.6, 2 and 5 79.9."""


def refit_titles(folder: Path, rows: Sequence[Row], out: Path, *, max_tokens: int) -> float:
    """Write the model in ``folder`` to ``out`` with title columns fitted to ``rows``; returns their accuracy on ``rows``.

    ``max_tokens`` is of these rows; what is scored later is as long as what the model was trained on. Blocks for one forward
    over all rows.

    :raises UsageError: the model has no titles, ``rows`` lacks one of their labels, or a text is longer than the encoder reads.
    """
    from sklearn.linear_model import LogisticRegression

    model, tokenizer, columns = models.load(folder)
    own, labels = columns.of(KIND), columns.labels_of(KIND)
    titles = [row for row in rows if row.kind == KIND]
    gold, texts = [str(row.label) for row in titles], [row.text for row in titles]
    if set(gold) != set(labels):
        raise UsageError(f"titles of every tone are needed: {', '.join(labels)}")
    examples = encode(titles, tokenizer, columns, max_tokens=max_tokens)
    check_positions(examples, model)
    pooled: Floats = np.zeros((len(examples), model.config.hidden_size))
    model.train(False)
    with torch.inference_mode():
        for chosen, batch in in_batches(examples, columns, pad_id=pad_id_of(tokenizer)):
            pooled[chosen] = _pooled(model, batch.input_ids, batch.attention_mask).numpy()
    weights = [
        (NEUTRAL_WEIGHT if label == "neutral" else 1.0) * (1.0 if has_han(text) else LATIN_WEIGHT)
        for label, text in zip(gold, texts, strict=True)
    ]
    fitted = LogisticRegression(C=STRENGTH, max_iter=2_000).fit(pooled, gold, sample_weight=weights)
    place = [list(fitted.classes_).index(label) for label in labels]
    with torch.no_grad():
        model.classifier.weight[own] = torch.tensor(fitted.coef_[place], dtype=torch.float32)
        model.classifier.bias[own] = torch.tensor(fitted.intercept_[place], dtype=torch.float32)
    models.save(model, tokenizer, columns, out)
    copy_max_tokens(folder, out)
    return float(fitted.score(pooled, gold))


def labelled_by_functions(rows: Sequence[Row], *, share: float, limit: int, seed: int) -> list[Row]:
    """Titles and copies of a ``share`` of them with phrases written in, in random order; every tone is the functions'."""
    collected = [replace(row, label=tone_of(row.text)) for row in rows if row.source != "titles_written"]
    copies = with_phrases(collected, share=share, seed=seed)
    chooser = random.Random(seed)
    chooser.shuffle(collected)
    chooser.shuffle(copies)
    return [*collected[: limit - min(len(copies), limit // 2)], *copies[: limit // 2]]


def _pooled(
    model: BertForSequenceClassification, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> torch.Tensor:
    """What the classifier reads: [texts, width]."""
    pooled: torch.Tensor = model.bert(input_ids=input_ids, attention_mask=attention_mask).pooler_output
    return pooled
