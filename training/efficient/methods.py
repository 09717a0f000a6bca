"""The registry: LoRA, AdaLoRA, bottleneck adapters, prefix tuning, each as (model -> model with few trainable weights).

All train with the one trainer, the pooler and the classifier with them: they are new, so they must. ``peft`` has the first,
second and last; bottleneck adapters are ours (``bottleneck.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from peft import AdaLoraConfig, LoraConfig, PrefixTuningConfig, TaskType, get_peft_model
from torch import nn
from transformers import BertForSequenceClassification, PreTrainedModel

from training.efficient.bottleneck import add_bottlenecks
from training.trainer import Hook, StepContext
from worker.errors import UsageError

Method = Literal["lora", "adalora", "adapters", "prefix"]
METHODS: tuple[Method, ...] = ("lora", "adalora", "adapters", "prefix")

HEAD = ("bert.pooler.dense", "classifier")
"""Trained in full and saved with every method. A save that loses them loses the answers."""
ATTENTION = ["query", "key", "value"]


@dataclass(frozen=True)
class EfficientConfig:
    """Sizes of what is added."""

    method: Method = "lora"
    rank: int = 8
    """Of LoRA; AdaLoRA starts from 1.5 times as much and prunes to it."""
    bottleneck: int = 32
    prefix_tokens: int = 16
    total_steps: int | None = None
    """Length of the run, by which AdaLoRA prunes its ranks; None: the fine-tune fills it in."""


def wrap(model: BertForSequenceClassification, config: EfficientConfig) -> tuple[PreTrainedModel, list[Hook]]:
    """The model with its new weights, all others frozen, and what the trainer must run after each backward."""
    return _WRAPPERS[config.method](model, config)


def trainable_share(model: PreTrainedModel) -> tuple[int, int]:
    """Trainable and all parameters."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    return sum(size for size, trains in sizes if trains), sum(size for size, _ in sizes)


def as_pretrained(model: nn.Module) -> PreTrainedModel:
    """A model of `peft` as what it stands for: it passes calls and attributes on to the model that it wraps."""
    return cast("PreTrainedModel", model)


def _lora(
    model: BertForSequenceClassification, config: EfficientConfig
) -> tuple[PreTrainedModel, list[Hook]]:
    settings = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=config.rank,
        lora_alpha=2 * config.rank,
        target_modules=[*ATTENTION, "attention.output.dense"],
        modules_to_save=list(HEAD),
    )
    return as_pretrained(get_peft_model(model, settings)), []


def _adalora(
    model: BertForSequenceClassification, config: EfficientConfig
) -> tuple[PreTrainedModel, list[Hook]]:
    if config.total_steps is None:
        raise UsageError("adalora prunes by the length of the run: say total_steps")
    total = max(20, config.total_steps)
    settings = AdaLoraConfig(
        task_type=TaskType.SEQ_CLS,
        init_r=config.rank + config.rank // 2,
        target_r=config.rank,
        lora_alpha=2 * config.rank,
        tinit=total // 10,
        tfinal=total // 4,
        deltaT=max(1, total // 100),
        total_step=total,
        target_modules=[*ATTENTION, "attention.output.dense"],
        modules_to_save=list(HEAD),
    )
    wrapped = get_peft_model(model, settings)

    def allocate(context: StepContext) -> None:
        # It reads gradients, so it stands after backward and before they are cleared.
        cast("Any", wrapped.base_model).update_and_allocate(context.step)

    return as_pretrained(wrapped), [allocate]


def _prefix(
    model: BertForSequenceClassification, config: EfficientConfig
) -> tuple[PreTrainedModel, list[Hook]]:
    settings = PrefixTuningConfig(
        task_type=TaskType.SEQ_CLS, num_virtual_tokens=config.prefix_tokens, modules_to_save=list(HEAD)
    )
    return as_pretrained(get_peft_model(model, settings)), []


def _adapters(
    model: BertForSequenceClassification, config: EfficientConfig
) -> tuple[PreTrainedModel, list[Hook]]:
    return add_bottlenecks(model, config.bottleneck), []


_WRAPPERS: dict[
    Method, Callable[[BertForSequenceClassification, EfficientConfig], tuple[PreTrainedModel, list[Hook]]]
]
_WRAPPERS = {"lora": _lora, "adalora": _adalora, "adapters": _adapters, "prefix": _prefix}
