"""From rows to batches of nearly equal lengths: as many texts as fit a budget of tokens, hardly any padding.

The order of the batches is a function of (seed, epoch) alone, so that a resumed run sees what an uninterrupted one sees.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from training.data import Row
from training.model import Columns
from worker.classify.normalise import normalise
from worker.errors import UsageError

POOL_BATCHES = 32
"""Texts are sorted by length within pools of about this many batches: enough to make padding rare, small enough that
every pool still mixes all sets."""
TOKENS_PER_BATCH = 4_096
"""Padded tokens of a batch where nothing is trained."""


@dataclass(frozen=True)
class Example:
    """One encoded row: token ids with the special pieces, and what the model shall answer.

    ``target`` has one probability a label of the row's kind; None where nobody knows (unlabelled text).
    """

    ids: list[int]
    kind: str
    target: tuple[float, ...] | None
    index: int


@dataclass(frozen=True)
class Batch:
    """``input_ids``, ``attention_mask`` [texts, tokens]; ``target``, ``allowed`` [texts, columns]; ``index`` [texts].

    ``allowed`` is true in the columns of the text's kind. ``target`` sums to 1 within them, or to 0 for unlabelled texts.
    ``index`` is the position of the example in the data set, ``epoch`` how often all of them were seen before.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    target: torch.Tensor
    allowed: torch.Tensor
    index: torch.Tensor
    epoch: int = 0


def head_and_tail(ids: list[int], max_tokens: int) -> list[int]:
    """At most ``max_tokens`` ids: the first half with the leading special piece, the last half with the closing one."""
    if len(ids) <= max_tokens:
        return ids
    tail = max_tokens // 2
    return ids[: max_tokens - tail] + ids[len(ids) - tail :]


def encode(rows: Sequence[Row], tokenizer: Tokenizer, columns: Columns, *, max_tokens: int) -> list[Example]:
    """Normalise and encode rows as the worker does. Hard labels become one-hot targets.

    :raises UsageError: a row's kind or label has no column.
    """
    _check_columns(rows, columns)
    encodings = tokenizer.encode_batch([normalise(row.text).text for row in rows])
    return [
        Example(
            head_and_tail(encoding.ids, max_tokens),
            row.kind,
            _target(row, columns.labels_of(row.kind)),
            index,
        )
        for index, (row, encoding) in enumerate(zip(rows, encodings, strict=True))
    ]


def _target(row: Row, labels: Sequence[str]) -> tuple[float, ...] | None:
    if row.label is None:
        return None
    return tuple(float(label == row.label) for label in labels)


def _check_columns(rows: Sequence[Row], columns: Columns) -> None:
    for kind, label in dict.fromkeys((row.kind, row.label) for row in rows):
        known = columns.labels_of(kind)
        if label is not None and label not in known:
            raise UsageError(
                f"`{label}` is not among the model's labels of kind `{kind}`",
                hint=f"it knows {', '.join(known)}; say what yours mean, as in --label {label}={known[0]}",
            )


def positions_of(model: PreTrainedModel) -> int:
    """The longest text that the encoder can read, in tokens."""
    return int(model.config.max_position_embeddings)


def check_positions(examples: Iterable[Example], model: PreTrainedModel, *, taken: int = 0) -> None:
    """Raise unless the encoder has a position for every token; ``taken`` of them stand before the text (a prefix).

    :raises UsageError: a text is longer.
    """
    free = positions_of(model) - taken
    if any(len(example.ids) > free for example in examples):
        before = f", of which a prefix takes {taken}" if taken else ""
        raise UsageError(
            f"there are texts of more tokens than the encoder's {positions_of(model)} positions{before}",
            hint=f"give --max-tokens {free}, or fewer",
        )


def plan(lengths: Sequence[int], *, tokens: int, seed: int, epoch: int) -> list[list[int]]:
    """Batches of indices whose padded size stays within ``tokens``, in random order, similar lengths together."""
    shuffler = random.Random(f"{seed}/{epoch}")
    order = list(range(len(lengths)))
    shuffler.shuffle(order)
    mean = max(1.0, sum(lengths) / max(1, len(lengths)))
    pool = max(1, int(POOL_BATCHES * tokens / mean))
    batches: list[list[int]] = []
    for start in range(0, len(order), pool):
        batches.extend(
            pack_sorted(sorted(order[start : start + pool], key=lambda i: lengths[i]), lengths, tokens)
        )
    shuffler.shuffle(batches)
    return batches


def pack_sorted(order: Sequence[int], lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Cut indices that are sorted by length into batches of at most ``tokens`` padded tokens (one text at least)."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * max(lengths[index], lengths[batch[-1]]) > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def in_batches(
    examples: Sequence[Example], columns: Columns, *, pad_id: int
) -> Iterator[tuple[list[int], Batch]]:
    """All examples once, shortest first, for a model that does not train: the places of a batch's examples, and the batch."""
    lengths = [len(example.ids) for example in examples]
    order = sorted(range(len(examples)), key=lambda index: lengths[index])
    for chosen in pack_sorted(order, lengths, TOKENS_PER_BATCH):
        yield chosen, collate([examples[index] for index in chosen], columns, pad_id=pad_id)


def collate(examples: Sequence[Example], columns: Columns, *, pad_id: int, epoch: int = 0) -> Batch:
    """Examples as tensors, padded to the longest."""
    width = max(len(example.ids) for example in examples)
    input_ids = torch.full((len(examples), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    target = torch.zeros((len(examples), columns.width))
    allowed = torch.zeros((len(examples), columns.width), dtype=torch.bool)
    for position, example in enumerate(examples):
        input_ids[position, : len(example.ids)] = torch.tensor(example.ids)
        mask[position, : len(example.ids)] = 1
        own = columns.of(example.kind)
        allowed[position, own] = True
        if example.target is not None:
            target[position, own] = torch.tensor(example.target)
    index = torch.tensor([example.index for example in examples])
    return Batch(input_ids, mask, target, allowed, index, epoch)
