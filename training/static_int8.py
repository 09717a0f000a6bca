"""Static int8: weights and activations as int8, every range fixed beforehand on calibration texts.

Ranges that are taken from the batch at hand (dynamic quantisation) make a text's answer depend on its neighbours. Here the
ranges are constants of the model, and products of integers are exact, so how texts are batched changes nothing in a linear
layer. Between these layers stands float32, whose sums the shape of a batch orders, so the logits still move in their last digits
(7e-6 was seen), and by more where such a digit rounds an input to the next step. The product is the worker's
(:mod:`worker.classify.integers`), which instead takes each row's range from the row itself and needs no calibration texts.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from training.batches import Example, in_batches
from training.model import Columns
from training.objective import logits_of
from training.quantise import quantise_rows
from worker.classify.integers import IntegerWeight, exact_levels

KEPT_SHARE = 0.9999
"""Share of a layer's calibration inputs within its range; the few beyond are cut to it."""
SAMPLES_A_BATCH = 20_000
"""Inputs of a layer that are remembered of each calibration batch."""


class StaticInt8Linear(nn.Module):
    """A linear layer in integers. Input and output are float32 [..., width]; the input is cut to ``+-largest``."""

    def __init__(self, linear: nn.Linear, largest: float) -> None:
        """Take the weights of ``linear``, one scale a row. The input has as many steps on each side of 0 as this CPU
        multiplies exactly.

        :raises ModelError: this build of PyTorch has no such operator.
        """
        super().__init__()
        self.bias: torch.Tensor | None
        self.weight = IntegerWeight(*quantise_rows(linear.weight.detach()))
        self.levels = exact_levels()
        self.zero = self.levels + 1  # the unsigned byte that stands for 0
        self.input_scale = max(largest, 1e-12) / self.levels
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The layer's output, in float32."""
        flat = inputs.reshape(-1, inputs.shape[-1]).float()
        steps = (flat * (1 / self.input_scale)).round_().clamp_(-self.levels, self.levels)
        rounded = steps.add_(self.zero).to(torch.uint8)
        output = self.weight.times(rounded, self.zero, scale=self.input_scale, bias=self.bias)
        return output.reshape(*inputs.shape[:-1], -1)


def to_static_int8(
    model: PreTrainedModel, calibration: Sequence[Example], columns: Columns, *, pad_id: int
) -> None:
    """Replace every linear layer of the encoder. Changes ``model``; blocks for a forward over ``calibration``.

    The head stays in float32: it is small, and its output is what is compared.
    """
    model.train(False)
    encoder = model.base_model
    linear = {name: layer for name, layer in encoder.named_modules() if isinstance(layer, nn.Linear)}
    ranges = _ranges(model, linear, calibration, columns, pad_id=pad_id)
    for name, layer in linear.items():
        parent, _, last = name.rpartition(".")
        setattr(encoder.get_submodule(parent), last, StaticInt8Linear(layer, ranges[name]))


def largest_magnitude(inputs: torch.Tensor) -> float:
    """What the magnitude of all but a few of a layer's inputs [..., width] stays below, by a sample over all channels."""
    values = inputs.abs().flatten().float()
    step = max(1, len(values) // SAMPLES_A_BATCH)
    while math.gcd(step, inputs.shape[-1]) > 1:
        step += 1  # a step that shares a factor with the width would never see some channels
    return float(values[::step].quantile(KEPT_SHARE))


def _ranges(
    model: PreTrainedModel,
    linear: dict[str, nn.Linear],
    examples: Sequence[Example],
    columns: Columns,
    *,
    pad_id: int,
) -> dict[str, float]:
    """For each layer the magnitude that all but a few of its inputs stay below, on average over the batches."""
    found: dict[str, list[float]] = {name: [] for name in linear}

    def watch(name: str) -> Any:
        def look(_module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
            found[name].append(largest_magnitude(arguments[0].detach()))

        return look

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in linear.items()]
    try:
        with torch.inference_mode():
            for _, batch in in_batches(examples, columns, pad_id=pad_id):
                logits_of(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: sum(values) / len(values) for name, values in found.items()}
