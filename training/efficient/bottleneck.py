"""Bottleneck adapters (Houlsby et al. 2019, arXiv:1902.00751): a small residual block after both halves of every layer.

    x + up(gelu(down(x)))          down: hidden -> bottleneck, up: bottleneck -> hidden, up begins at zero

so that a model with fresh adapters answers exactly as it did before.
"""

from typing import cast

import torch
from torch import nn
from transformers import BertForSequenceClassification


class Bottleneck(nn.Module):
    """The residual block."""

    def __init__(self, hidden: int, bottleneck: int) -> None:
        super().__init__()
        self.down = nn.Linear(hidden, bottleneck)
        self.up = nn.Linear(bottleneck, hidden)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape as `x`: [..., hidden]."""
        return x + cast("torch.Tensor", self.up(nn.functional.gelu(self.down(x))))


def add_bottlenecks(model: BertForSequenceClassification, bottleneck: int) -> BertForSequenceClassification:
    """Put adapters after both output projections of each layer; only they and the head train. Changes `model`."""
    hidden = int(model.config.hidden_size)
    for layer in model.bert.encoder.layer:
        for output in (layer.get_submodule("attention.output"), layer.get_submodule("output")):
            output.dense = nn.Sequential(output.get_submodule("dense"), Bottleneck(hidden, bottleneck))
    for name, parameter in model.named_parameters():
        adapter = ".dense.1." in name
        parameter.requires_grad = adapter or name.startswith(("bert.pooler.", "classifier."))
    return model
