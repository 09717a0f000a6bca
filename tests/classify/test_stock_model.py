"""The packed forward computes what the stock transformers model computes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from tests.classify.checkpoints import FAMILIES, SIZES, tiny_bert, tiny_roberta, write_bundle
from tests.classify.precisions import needs_int8
from worker.classify.architecture import ALLOWED_KEYS, read_architecture
from worker.classify.bundle import load_bundle
from worker.classify.encoder import PackedEncoder
from worker.classify.linear import Kernel
from worker.classify.pack import pack
from worker.classify.precision import Choice, usable_kernel
from worker.classify.weights import read_weights
from worker.errors import ModelError

TEXTS = [[0, *range(4, 4 + length), 2] for length in (0, 1, 5, 5, 30, 126)]
TWO_KINDS = {"review": {"labels": ["negative", "positive"], "columns": [0, 1]}}


def stock(model: PreTrainedModel, dtype: torch.dtype) -> np.ndarray:
    width = max(map(len, TEXTS))
    ids = torch.tensor([[*text, *[1] * (width - len(text))] for text in TEXTS])
    mask = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in TEXTS])
    with torch.inference_mode():
        return model.to(dtype)(input_ids=ids, attention_mask=mask).logits.float().numpy()


def packed(model: PreTrainedModel, folder: Path, precision: str, kernel: Kernel) -> np.ndarray:
    bundle = load_bundle(write_bundle(model, folder, kinds=TWO_KINDS))
    choice = Choice(precision, kernel, {})
    encoder = PackedEncoder(bundle.architecture, read_weights(bundle), choice, torch.device("cpu"))
    return encoder.logits(pack(TEXTS)).numpy()


@pytest.mark.parametrize("kernel", list(Kernel))
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
@pytest.mark.parametrize("make", [tiny_bert, tiny_roberta])
def test_float32_logits_equal_those_of_the_padded_model(
    make: type, activation: str, kernel: Kernel, tmp_path: Path
) -> None:
    model = make(3)
    model.config.hidden_act = activation
    rebuilt = type(model)(model.config).train(False)
    rebuilt.load_state_dict(model.state_dict())
    found = packed(rebuilt, tmp_path, "float32", kernel)
    np.testing.assert_allclose(found, stock(rebuilt, torch.float32), atol=1e-5)


@pytest.mark.parametrize("kernel", list(Kernel))
def test_bfloat16_probabilities_are_near_those_of_the_padded_model(kernel: Kernel, tmp_path: Path) -> None:
    sizes = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "initializer_range": 0.05}
    model = tiny_bert(3, **sizes)
    if kernel is Kernel.ONEDNN and usable_kernel("bfloat16") is not kernel:
        # A CPU without the instructions: oneDNN refuses, which is how the worker comes to choose the other one.
        with pytest.raises(RuntimeError):
            packed(model, tmp_path, "bfloat16", kernel)
        return
    found = torch.from_numpy(packed(model, tmp_path, "bfloat16", kernel)).softmax(-1)
    expected = torch.from_numpy(stock(model, torch.bfloat16)).softmax(-1)
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_every_family_is_either_packed_or_says_why_not() -> None:
    for name, make in FAMILIES.items():
        config = {key: value for key, value in make(2).config.to_dict().items() if key in ALLOWED_KEYS}
        assert (read_architecture(config).why_not_packed is None) == (name in {"bert", "roberta"})


def test_roberta_needs_a_row_for_each_position_that_it_counts(tmp_path: Path) -> None:
    model = tiny_roberta()
    model.roberta.embeddings.position_embeddings = torch.nn.Embedding(138, 32)  # those of its 138 tokens only
    with pytest.raises(ModelError, match=r"\[138, 32\], not \[140, 32\]"):
        packed(model, tmp_path, "float32", Kernel.BLAS)


def test_roberta_counts_positions_from_the_padding_id_on() -> None:
    shape = read_architecture({**SIZES, "model_type": "roberta"})
    assert (shape.first_position, shape.max_tokens) == (2, 138)


@needs_int8
def test_int8_probabilities_are_near_those_of_the_padded_model(tmp_path: Path) -> None:
    sizes = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "initializer_range": 0.05}
    model = tiny_bert(3, **sizes)
    found = torch.from_numpy(packed(model, tmp_path, "int8", usable_kernel("float32"))).softmax(-1)
    expected = torch.from_numpy(stock(model, torch.float32)).softmax(-1)
    np.testing.assert_allclose(found, expected, atol=2e-2)
    assert not np.allclose(found, expected, atol=1e-6)
