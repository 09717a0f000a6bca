"""The forms that one trained model can be stored and computed in, side by side: size, speed, accuracy, and what batching does.

Speed is a ratio to float32 in the same process, forms by turns, over the same padded batches and the stock forward: the
worker's packed forward is faster in all of them.
"""

import copy
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from transformers import BertForSequenceClassification

from training import model as models
from training.batches import Example, check_positions, collate, encode
from training.data import Row
from training.finetune import pad_id_of
from training.metrics import accuracy
from training.model import Columns
from training.objective import logits_of
from training.predict import logits_for, probabilities_of
from training.progress import say_stage
from training.quantise import dequantise_state, half_state, quantise_state
from training.sets import gold_of, labels_of_set
from training.static_int8 import to_static_int8

TURNS = 3
TIMED_TEXTS = 256
"""Drawn from the test for the turns, because a form that the processor has no instructions for may be ten times as slow."""
BATCHED = 16
"""Texts in the batch that a text alone is compared with."""
COMPARED_TEXTS = 10
DRAW_SEED = 0


@dataclass(frozen=True)
class Form:
    """One line of the table."""

    name: str
    megabytes: float
    """Of the weights as stored."""
    speed: float
    """Texts per second over those of float32."""
    accuracy: float
    among_copies: float
    """Largest difference of a logit between a text alone and the same text in a batch of copies; 0 means identical bits."""
    among_others: float
    """The same in a batch with other texts, up to the longest, so that it is padded as well."""


def measure_forms(
    folder: Path,
    test: Sequence[Row],
    calibration: Sequence[Row],
    *,
    max_tokens: int,
    calibration_rows: int | None = None,
) -> list[Form]:
    """Every form of the model in ``folder``, scored on ``test`` (rows of one kind). Tells on standard error what it is at.

    Blocks for a forward over the test in each form, and for some thousand texts in each beside.

    ``calibration_rows``: so many of ``calibration``, drawn by a fixed seed (files are often sorted); None takes all.

    :raises ModelError: this build of PyTorch, or this processor, cannot do int8.
    :raises UsageError: a text has more tokens than the encoder has positions.
    """
    model, tokenizer, columns = models.load(folder)
    pad_id = pad_id_of(tokenizer)
    examples = encode(test, tokenizer, columns, max_tokens=max_tokens)
    if calibration_rows is not None and calibration_rows < len(calibration):
        calibration = random.Random(DRAW_SEED).sample(list(calibration), calibration_rows)
    fixed = encode(calibration, tokenizer, columns, max_tokens=max_tokens)
    check_positions([*examples, *fixed], model)
    state = {name: value.detach() for name, value in model.state_dict().items()}
    half, rows = half_state(state), quantise_state(state)
    static = _with(model, dequantise_state(rows))
    to_static_int8(static, fixed, columns, pad_id=pad_id)
    variants: dict[str, tuple[BertForSequenceClassification, bool, float]] = {
        "float32": (model, False, _megabytes(state)),
        "float16 weights, float32 arithmetic": (
            _with(model, dequantise_state(half)),
            False,
            _megabytes(half),
        ),
        "int8 rows, float32 arithmetic": (_with(model, dequantise_state(rows)), False, _megabytes(rows)),
        "int8 rows, bfloat16 arithmetic": (_with(model, dequantise_state(rows)), True, _megabytes(rows)),
        "static int8, weights and activations": (static, False, _megabytes(rows)),
    }
    labels = labels_of_set(test, columns.labels_of(test[0].kind))
    own, gold = columns.of(test[0].kind, labels), gold_of(test, labels)
    timed = random.Random(DRAW_SEED).sample(examples, min(TIMED_TEXTS, len(examples)))
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(TURNS):
        for name, (variant, bfloat16, _size) in variants.items():
            say_stage(f"turn {turn + 1} of {TURNS}, {len(timed)} texts: {name}")
            start = time.perf_counter()
            logits_for(variant, timed, columns, pad_id=pad_id, bfloat16=bfloat16)
            seconds[name].append(time.perf_counter() - start)
    forms = []
    for name, (variant, bfloat16, size) in variants.items():
        say_stage(f"scoring {len(examples)} texts: {name}")
        logits = logits_for(variant, examples, columns, pad_id=pad_id, bfloat16=bfloat16)
        forms.append(
            Form(
                name,
                size,
                median(a / b for a, b in zip(seconds["float32"], seconds[name], strict=True)),
                accuracy(probabilities_of(logits, own), gold),
                *_batching_differences(variant, examples, columns, pad_id=pad_id, bfloat16=bfloat16),
            )
        )
    return forms


def render(forms: Sequence[Form]) -> str:
    """Markdown."""
    lines = [
        "| form | weights | speed | accuracy | a text alone, and among copies of it | and padded, among other texts |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {form.name} | {form.megabytes:.1f} MB | {form.speed:.2f} | {100 * form.accuracy:.2f} "
        f"| {_said(form.among_copies)} | {_said(form.among_others)} |"
        for form in forms
    ]
    return "\n".join(lines) + "\n"


def _said(difference: float) -> str:
    return "identical bits" if difference == 0 else f"differ by up to {difference:.1e}"


def _with(
    model: BertForSequenceClassification, state: Mapping[str, torch.Tensor]
) -> BertForSequenceClassification:
    other = copy.deepcopy(model)
    other.load_state_dict(dict(state), strict=False)
    return other


def _megabytes(state: Mapping[str, torch.Tensor]) -> float:
    return sum(value.numel() * value.element_size() for value in state.values()) / 1e6


def _batching_differences(
    model: BertForSequenceClassification,
    examples: Sequence[Example],
    columns: Columns,
    *,
    pad_id: int,
    bfloat16: bool,
) -> tuple[float, float]:
    """Largest difference of a text alone from itself among copies, and from itself padded among others."""
    model.train(False)

    def logits(some: Sequence[Example]) -> torch.Tensor:
        batch = collate(some, columns, pad_id=pad_id)  # one batch, whatever its size
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return logits_of(model, batch)

    by_length = sorted(examples, key=lambda example: len(example.ids))
    longest = by_length[-1]
    # Of all lengths but the longest, which is the neighbour that the others are padded to.
    chosen = by_length[:-1][:: max(1, len(by_length) // COMPARED_TEXTS)] or [longest]
    copies, others = [], []
    for example in chosen:
        alone = logits([example])
        copies.append(float((logits([example] * BATCHED) - alone).abs().max()))
        among = logits([example, *chosen[: BATCHED - 2], longest])[:1]
        others.append(float((among - alone).abs().max()))
    return max(copies), max(others)
