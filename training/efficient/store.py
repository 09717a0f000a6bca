"""Saving what was trained, and only that: the small weights and the head. Loading gives the same logits."""

import json
from dataclasses import dataclass
from pathlib import Path

from peft import PeftModel
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from transformers import BertForSequenceClassification, PreTrainedModel

from training import model as models
from training.checkpoint import weights_digest
from training.efficient.bottleneck import add_bottlenecks
from training.efficient.methods import EfficientConfig, as_pretrained
from training.model import ADAPTERS, Columns, write_weights
from training.runs import write_json
from worker.errors import UsageError

_WEIGHTS = "adapters.safetensors"


@dataclass(frozen=True)
class Adapters:
    """What trained weights must be put upon, and what the whole answers."""

    config: EfficientConfig
    base: str
    """:func:`base_digest` of the model before anything was added."""
    columns: Columns
    layers: tuple[int, ...] | None = None
    """The base's layers that were kept; None for all."""


def base_digest(model: BertForSequenceClassification) -> str:
    """SHA-256 of the weights that stay as they are: all but the pooler's and the head's, which train with every method."""
    return weights_digest(nn.ModuleList([model.bert.embeddings, model.bert.encoder]))


def save_efficient(model: nn.Module, told: Adapters, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the trained weights, head included, how they were added and to what."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / ADAPTERS, {**vars(told), "columns": told.columns.labels})
    if isinstance(model, PeftModel):
        model.save_pretrained(str(folder))
        return
    trained = {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}
    write_weights(folder / _WEIGHTS, trained)


def load_with_base(base: str, folder: Path) -> tuple[PreTrainedModel, Tokenizer, Columns]:
    """A whole model of the base checkpoint (a folder or hub name) and the weights stored in ``folder``, or in its ``adapters``.

    :raises UsageError: as :func:`load_efficient`.
    """
    folder = models.adapters_folder(folder)
    told = _told(folder)
    plain = models.build(base, told.columns, layers=told.layers)
    return load_efficient(plain, folder), models.load_tokenizer(folder), told.columns


def load_efficient(base: BertForSequenceClassification, folder: Path) -> PreTrainedModel:
    """The base model with the stored weights on top. ``base``: the one that was trained upon, with its columns and layers.

    :raises UsageError: the folder is none that :func:`save_efficient` wrote, or was written for another base.
    """
    told = _told(folder)
    if base_digest(base) != told.base:
        raise UsageError(
            f"{folder} was trained upon another base checkpoint",
            hint="give the --base that the run's run.json names",
        )
    if told.config.method != "adapters":
        return as_pretrained(PeftModel.from_pretrained(base, str(folder)).train(False))
    model = add_bottlenecks(base, told.config.bottleneck)
    model.load_state_dict(load_file(str(folder / _WEIGHTS)), strict=False)
    model.train(False)
    return model


def _told(folder: Path) -> Adapters:
    if not (folder / ADAPTERS).is_file():
        raise UsageError(f"{folder} holds no adapters", hint="give the folder of a run with --method")
    stored = json.loads((folder / ADAPTERS).read_text("utf-8"))
    if "base" not in stored:
        raise UsageError(
            f"{folder} does not say which base it belongs to",
            hint="train it again: an older version wrote it",
        )
    layers = stored["layers"]
    return Adapters(
        EfficientConfig(**stored["config"]),
        stored["base"],
        Columns({kind: tuple(labels) for kind, labels in stored["columns"].items()}),
        None if layers is None else tuple(layers),
    )


def merged(model: nn.Module) -> BertForSequenceClassification | None:
    """The plain checkpoint that answers the same, which can be exported and served; None where there is none.

    LoRA and AdaLoRA fold into the weights that they change. Adapters and prefixes are new layers and cannot.
    """
    if isinstance(model, PeftModel) and model.active_peft_config.peft_type in {"LORA", "ADALORA"}:
        plain = model.merge_and_unload()
        return plain if isinstance(plain, BertForSequenceClassification) else None
    return None
