"""A tiny encoder with a tiny Unigram vocabulary, and rows that it can learn in seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from tests.training.rows import BAD, FILLER, GOOD, make_rows
from training.data import Row


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Of torch and of numpy: a second one waits in a busy loop for the first, and beside other work that costs twice the time."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


def _tokenizer() -> Tokenizer:
    words = ["▁" + word for word in GOOD + BAD + FILLER] + GOOD + BAD + FILLER
    characters = sorted({c for word in words for c in word} | set("二手爆款abcdefghijklmnopqrstuvwxyz"))
    vocab = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocab += [(word, -3.0) for word in dict.fromkeys(words) if len(word) > 1]
    vocab += [(character, -8.0) for character in characters]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base checkpoint: 4 layers x 32, random weights."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = _tokenizer()
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
            pad_token_id=1,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="session")
def train_rows() -> list[Row]:
    return make_rows(240, seed=1)


@pytest.fixture(scope="session")
def other_rows() -> list[Row]:
    return make_rows(80, seed=2)
