"""Saving what was trained, and only that: the small weights and the head. Loading gives the same logits."""

import json
from dataclasses import asdict
from pathlib import Path

from peft import PeftModel
from safetensors.torch import load_file
from torch import nn
from transformers import BertForSequenceClassification, PreTrainedModel

from training.efficient.bottleneck import add_bottlenecks
from training.efficient.methods import EfficientConfig, as_pretrained
from training.model import write_weights
from worker.errors import UsageError

_CONFIG, _WEIGHTS = "efficient.json", "adapters.safetensors"


def save_efficient(model: nn.Module, config: EfficientConfig, folder: Path) -> None:
    """Write the trained weights, head included, and how they were added."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _CONFIG).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    if isinstance(model, PeftModel):
        model.save_pretrained(str(folder))
        return
    trained = {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}
    write_weights(folder / _WEIGHTS, trained)


def load_efficient(base: BertForSequenceClassification, folder: Path) -> PreTrainedModel:
    """The base model with the stored weights on top. `base` must be the checkpoint that was trained upon.

    Raises:
        UsageError: the folder is none that :func:`save_efficient` wrote, or was written for another base.
    """
    if not (folder / _CONFIG).is_file():
        raise UsageError(f"{folder} holds no adapters", hint="give the model folder of an efficient run")
    config = EfficientConfig(**json.loads((folder / _CONFIG).read_text("utf-8")))
    if config.method != "adapters":
        return as_pretrained(PeftModel.from_pretrained(base, str(folder)).train(False))
    model = add_bottlenecks(base, config.bottleneck)
    stored = load_file(str(folder / _WEIGHTS))
    wanted = {name for name, value in model.named_parameters() if value.requires_grad}
    if wanted != stored.keys():
        raise UsageError(f"{folder} was trained on another base checkpoint")
    model.load_state_dict(stored, strict=False)
    model.train(False)
    return model


def merged(model: nn.Module) -> BertForSequenceClassification | None:
    """The plain checkpoint that answers the same, which can be exported and served; None where there is none.

    LoRA and AdaLoRA fold into the weights that they change. Adapters and prefixes are new layers and cannot.
    """
    if isinstance(model, PeftModel) and model.active_peft_config.peft_type in {"LORA", "ADALORA"}:
        plain = model.merge_and_unload()
        return plain if isinstance(plain, BertForSequenceClassification) else None
    return None
