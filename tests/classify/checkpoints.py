"""Checkpoints made on the spot: small random models of several families, with a tokenizer over a few words."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from worker.classify.architecture import ALLOWED_KEYS
from worker.classify.normalise import NORMALISER_VERSION

WORDS = [f"w{number}" for number in range(200)]
VOCABULARY = ["<s>", "<pad>", "</s>", "<unk>", *WORDS]
SIZES: dict[str, Any] = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 140,
    "pad_token_id": 1,
    "initializer_range": 0.3,  # so that answers differ from text to text
}


def tiny_bert(labels: int = 5, seed: int = 0, **sizes: Any) -> PreTrainedModel:
    torch.manual_seed(seed)
    return BertForSequenceClassification(BertConfig(**{**SIZES, **sizes}, num_labels=labels)).train(False)


def tiny_roberta(labels: int = 3) -> PreTrainedModel:
    torch.manual_seed(1)
    return RobertaForSequenceClassification(RobertaConfig(**SIZES, num_labels=labels)).train(False)


def tiny_electra(labels: int = 2) -> PreTrainedModel:
    torch.manual_seed(2)
    return ElectraForSequenceClassification(
        ElectraConfig(**SIZES, embedding_size=32, num_labels=labels)
    ).train(False)


def tiny_distilbert(labels: int = 2) -> PreTrainedModel:
    torch.manual_seed(3)
    sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "initializer_range": 0.3}
    return DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=len(VOCABULARY),
            max_position_embeddings=140,
            pad_token_id=1,
            num_labels=labels,
            **sizes,
        )
    ).train(False)


FAMILIES: dict[str, Callable[..., PreTrainedModel]] = {
    "bert": tiny_bert,
    "roberta": tiny_roberta,
    "electra": tiny_electra,
    "distilbert": tiny_distilbert,
}


def tokenizer() -> Tokenizer:
    made = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(VOCABULARY)}, unk_token="<unk>")  # noqa: S106 - a token, not a secret
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    made.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    made.enable_truncation(16)  # a stored setting that the worker must not inherit
    made.enable_padding(length=16)
    return made


def write_checkpoint(model: PreTrainedModel, folder: Path, **config: Any) -> Path:
    """As transformers writes one, with keys of `config` changed."""
    model.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    stored = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**stored, **config}))
    return folder


def write_bundle(model: PreTrainedModel, folder: Path, **changes: Any) -> Path:
    """A bundle with the columns review 0-1 and title 2-4, without canaries; keys of bundle.json changed by `changes`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors"
    )
    config = {key: value for key, value in model.config.to_dict().items() if key in ALLOWED_KEYS}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer().save(str(folder / "tokenizer.json"))
    manifest: dict[str, Any] = {
        "format": 1,
        "name": "tiny",
        "version": "1",
        "created_at": "2026-01-01T00:00:00+00:00",
        "normaliser": NORMALISER_VERSION,
        "max_tokens": 128,
        "truncation": "head_tail",
        "pooling": "cls_pooler",
        "kinds": {
            "review": {"labels": ["negative", "positive"], "columns": [0, 1], "neutral_share": 0.4},
            "title": {
                "labels": ["negative", "neutral", "positive"],
                "columns": [2, 3, 4],
                "temperature": 1.7,
            },
        },
        "canaries": [],
        "evaluation": {},
        "licence": "Apache-2.0",
        **changes,
    }
    return sign(folder, manifest)


def sign(folder: Path, manifest: dict[str, Any]) -> Path:
    """Write bundle.json with the hashes of the files as they are now."""
    manifest["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("config.json", "model.safetensors", "tokenizer.json")
    }
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder
