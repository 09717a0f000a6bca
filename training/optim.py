"""Optimisers, the groups that their parameters fall into, and the schedule of the learning rate."""

import math
import re
from collections.abc import Callable
from typing import Any, Literal

import torch

Optimiser = Literal["adamw", "sgd", "adafactor"]
Schedule = Literal["linear", "cosine"]
RATES: dict[Optimiser, float] = {"adamw": 1e-4, "sgd": 0.02, "adafactor": 1e-3}
"""Peak learning rates at which small encoders learn. Adafactor's is a share of each weight's size, SGD's is not scaled at all."""

_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")


def depth_of(name: str, layers: int) -> int:
    """How far a parameter lies below the head: 0 for head and pooler, 1 for the last layer, ..., embeddings last."""
    found = _LAYER.search(name)
    if found:
        return layers - int(found.group(1))
    return layers + 1 if ".embeddings." in f".{name}" else 0


def parameter_groups(
    model: torch.nn.Module, *, lr: float, weight_decay: float, layer_decay: float, layers: int
) -> list[dict[str, Any]]:
    """Groups with no weight decay on biases and norms, and the rate multiplied by ``layer_decay`` a layer downwards."""
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = parameter.ndim > 1
        depth = depth_of(name, layers) if layer_decay != 1.0 else 0
        group = groups.setdefault(
            (depth, decays),
            {"params": [], "lr": lr * layer_decay**depth, "weight_decay": weight_decay if decays else 0.0},
        )
        group["params"].append(parameter)
    for group in groups.values():
        group["full_lr"] = group["lr"]
    return [groups[key] for key in sorted(groups)]


def make_optimiser(name: Optimiser, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimiser over these groups."""
    if name == "adamw":
        return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, fused=True)
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    return torch.optim.Adafactor(groups)


def schedule_factor(schedule: Schedule, warmup_share: float) -> Callable[[float], float]:
    """Factor of the learning rate as a function of progress (0 to 1)."""

    def factor(progress: float) -> float:
        if progress < warmup_share:
            return progress / warmup_share
        rest = (1.0 - progress) / max(1e-9, 1.0 - warmup_share)
        rest = min(1.0, max(0.0, rest))
        return rest if schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * rest))

    return factor
