import random
from pathlib import Path

import pytest
import torch

from training.batches import Example, collate, encode, head_and_tail, plan
from training.data import Row
from training.model import Columns, load_tokenizer
from worker.errors import UsageError

BOTH = Columns({"review": ("negative", "positive"), "title": ("negative", "neutral", "positive")})


def test_a_long_text_keeps_its_head_and_its_tail() -> None:
    assert head_and_tail([0, 1, 2, 3, 4, 5, 6, 9], 5) == [0, 1, 2, 6, 9]
    assert head_and_tail([0, 1, 9], 5) == [0, 1, 9]


def test_every_text_comes_once_an_epoch_and_no_batch_is_over_its_budget() -> None:
    chooser = random.Random(0)
    lengths = [chooser.randint(3, 200) for _ in range(3_000)]
    batches = plan(lengths, tokens=1_024, seed=1, epoch=0)
    assert sorted(index for batch in batches for index in batch) == list(range(3_000))
    padded = [len(batch) * max(lengths[index] for index in batch) for batch in batches]
    assert max(padded) <= 1_024
    assert sum(lengths) / sum(padded) > 0.95


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = list(range(3, 60)) * 5
    first = plan(lengths, tokens=256, seed=1, epoch=0)
    assert plan(lengths, tokens=256, seed=1, epoch=0) == first
    assert plan(lengths, tokens=256, seed=1, epoch=1) != first
    assert plan(lengths, tokens=256, seed=2, epoch=0) != first


def test_a_text_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    assert sorted(plan([500, 10], tokens=100, seed=0, epoch=0)) == [[0], [1]]


def test_each_kind_answers_in_its_own_columns() -> None:
    examples = [Example([0, 5, 2], "review", (0.0, 1.0), 7), Example([0, 2], "title", None, 9)]
    batch = collate(examples, BOTH, pad_id=1)
    assert batch.input_ids.tolist() == [[0, 5, 2], [0, 2, 1]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.target.tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert torch.equal(batch.allowed[1], torch.tensor([False, False, True, True, True]))
    assert batch.index.tolist() == [7, 9]


def test_a_label_or_kind_without_column_is_refused(base: Path) -> None:
    tokenizer = load_tokenizer(base)
    with pytest.raises(UsageError, match=r"`neutral` is not among .* `review`") as error:
        encode([Row("好", "neutral")], tokenizer, BOTH, max_tokens=8)
    assert "negative, positive" in str(error.value.hint)
    with pytest.raises(UsageError, match="kind `ad`"):
        encode([Row("好", None, "ad")], tokenizer, BOTH, max_tokens=8)
