from pathlib import Path

import pytest
import torch

from tests.training.rows import make_rows
from training import model as models
from training.model import (
    Columns,
    choose_pieces,
    every_nth_layers,
    keep_layers,
    prune_embeddings,
    prune_tokenizer,
)
from worker.errors import UsageError

BOTH = Columns({"review": ("negative", "positive"), "title": ("negative", "neutral", "positive")})


def test_columns_of_a_kind_follow_those_of_the_kinds_before() -> None:
    assert BOTH.of("title") == [2, 3, 4]
    assert BOTH.width == 5
    with pytest.raises(UsageError, match="no head"):
        BOTH.of("tweet")


def test_kept_texts_are_encoded_into_the_same_pieces(base: Path) -> None:
    tokenizer = models.load_tokenizer(base)
    texts = [row.text for row in make_rows(40, seed=5)]
    kept = choose_pieces(tokenizer, texts, 60)
    pruned = prune_tokenizer(tokenizer, kept)
    assert pruned.get_vocab_size() == 60 < tokenizer.get_vocab_size()
    for text in texts:
        before, after = tokenizer.encode(text), pruned.encode(text)
        assert after.tokens == before.tokens
        assert [kept[new] for new in after.ids] == before.ids


def test_pruned_embeddings_answer_as_the_whole_ones(base: Path) -> None:
    tokenizer = models.load_tokenizer(base)
    texts = [row.text for row in make_rows(10, seed=5)]
    kept = choose_pieces(tokenizer, texts, 60)
    pruned = prune_tokenizer(tokenizer, kept)
    whole, cut = models.build(str(base), BOTH, seed=1), models.build(str(base), BOTH, seed=1)
    prune_embeddings(cut, kept)
    whole.train(False)
    cut.train(False)
    for text in texts:
        expected = whole(input_ids=torch.tensor([tokenizer.encode(text).ids])).logits
        assert torch.equal(cut(input_ids=torch.tensor([pruned.encode(text).ids])).logits, expected)


def test_layers_are_spread_evenly_and_the_last_one_stays() -> None:
    assert every_nth_layers(12, 6) == [1, 3, 5, 7, 9, 11]
    assert every_nth_layers(4, 3)[-1] == 3
    with pytest.raises(UsageError):
        every_nth_layers(4, 5)


def test_a_model_keeps_the_layers_it_is_told_to(base: Path) -> None:
    model = models.build(str(base), BOTH, seed=1)
    third = model.bert.encoder.layer[2]
    assert keep_layers(model, [0, 2]).bert.encoder.layer[1] is third
    assert model.config.num_hidden_layers == 2
    with pytest.raises(UsageError, match="within"):
        keep_layers(model, [7])


def test_a_saved_model_answers_the_same(base: Path, tmp_path: Path) -> None:
    model = models.build(str(base), BOTH, seed=1)
    model.train(False)
    models.save(model, models.load_tokenizer(base), BOTH, tmp_path)
    again, _, columns = models.load(tmp_path)
    again.train(False)
    ids = torch.tensor([[0, 5, 6, 2]])
    assert columns == BOTH
    assert torch.allclose(again(input_ids=ids).logits, model(input_ids=ids).logits, atol=1e-6)
