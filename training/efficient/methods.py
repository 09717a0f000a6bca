"""The registry: LoRA, AdaLoRA, bottleneck adapters, prefix tuning, each as (model -> model with few trainable weights).

All train with the one trainer, the pooler and the classifier with them: they are new, so they must. ``peft`` has the first,
second and last; bottleneck adapters are ours (``bottleneck.py``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

from peft import AdaLoraConfig, LoraConfig, PeftModel, PrefixTuningConfig, TaskType, get_peft_model
from torch import nn
from transformers import BertForSequenceClassification, PreTrainedModel

from training.efficient.allocation import RankAllocation
from training.efficient.bottleneck import add_bottlenecks
from training.hooks import StepHook
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


SHORTEST_RUN = 20
"""Steps. AdaLoRA warms up in the first tenth of a run and prunes until the last quarter; fewer steps leave no room."""


def wrap(
    model: BertForSequenceClassification, config: EfficientConfig
) -> tuple[PreTrainedModel, list[StepHook]]:
    """The model with its new weights, all others frozen, and what the trainer must run once a step.

    :raises UsageError: the run is too short for AdaLoRA, or its length is not known.
    """
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
) -> tuple[PreTrainedModel, list[StepHook]]:
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
) -> tuple[PreTrainedModel, list[StepHook]]:
    if config.total_steps is None:
        raise UsageError("adalora prunes by the length of the run: say total_steps")
    total = config.total_steps
    if total < SHORTEST_RUN:
        raise UsageError(
            f"adalora prunes its ranks in {SHORTEST_RUN} steps or more, and this run has {total}",
            hint="raise --epochs or lower --batch-tokens, or use --method lora",
        )
    settings = AdaLoraConfig(
        task_type=TaskType.SEQ_CLS,
        init_r=config.rank + max(1, config.rank // 2),
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
    return as_pretrained(wrapped), [RankAllocation(cast("PeftModel", wrapped))]


def _prefix(
    model: BertForSequenceClassification, config: EfficientConfig
) -> tuple[PreTrainedModel, list[StepHook]]:
    settings = PrefixTuningConfig(
        task_type=TaskType.SEQ_CLS, num_virtual_tokens=config.prefix_tokens, modules_to_save=list(HEAD)
    )
    return as_pretrained(get_peft_model(model, settings)), []


def _adapters(
    model: BertForSequenceClassification, config: EfficientConfig
) -> tuple[PreTrainedModel, list[StepHook]]:
    return add_bottlenecks(model, config.bottleneck), []


def positions_taken(model: nn.Module) -> int:
    """How many of the encoder's positions stand before every text: those of a prefix, else none."""
    if not isinstance(model, PeftModel) or not isinstance(model.active_peft_config, PrefixTuningConfig):
        return 0
    return int(model.active_peft_config.num_virtual_tokens)


_WRAPPERS: dict[
    Method, Callable[[BertForSequenceClassification, EfficientConfig], tuple[PreTrainedModel, list[StepHook]]]
]
_WRAPPERS = {"lora": _lora, "adalora": _adalora, "adapters": _adapters, "prefix": _prefix}
