"""The packed forward of a BERT-family classifier, written out.

Compared with the stock model: no padding; queries, keys and values in one product; the last layer computes keys and
values for all rows but everything else only for the rows that are classified, which is a sixth of a six-layer model less
work; pooler and classifier in float32. Only the products of the layers are in int8 where that was asked for. Residuals and
layer norms are in the model's precision, like the stock model's (torch accumulates a layer norm in float32 in any case).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.classify.architecture import LEAST_ACTIVATED, Architecture
from worker.classify.attention import Attention, RunAttention, VarlenAttention, padded_head
from worker.classify.integers import make_integer_linear
from worker.classify.linear import make_linear
from worker.classify.pack import Pack
from worker.classify.precision import Choice
from worker.errors import ModelError

if TYPE_CHECKING:
    import torch

    from worker.classify.linear import Linear

    Norm = Callable[[torch.Tensor], torch.Tensor]
    Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    """The products of one layer. `inner` is heads * padded head width."""

    qkv: "Linear | None"
    """[., hidden] to [., 3 * inner]; None in the last layer."""
    query: "Linear | None"
    """Last layer only: [., hidden] to [., inner]."""
    kv: "Linear | None"
    """Last layer only: [., hidden] to [., 2 * inner]."""
    attended: "Linear"
    attended_norm: "Norm"
    widen: "Linear"
    narrow: "Linear"
    norm: "Norm"


class PackedEncoder:
    """Weights arranged for one device, precision and kernel. Nothing changes after it is made: any thread may call it."""

    def __init__(
        self,
        architecture: Architecture,
        weights: "Weights",
        choice: Choice,
        device: "torch.device",
    ) -> None:
        """`weights` in float32, named as transformers names them.

        Raises:
            ModelError: one is missing or misshapen, or there are more layers than the configuration counts.
        """
        self._shape = architecture
        self._weights = weights
        self._choice = choice
        self._dtype = dtype = choice.dtype
        self.device = device
        self._width = padded_head(architecture.hidden // architecture.heads)
        self._inner = architecture.heads * self._width
        prefix = "bert." if architecture.model_type == "bert" else "roberta."
        hidden = architecture.hidden
        words = self._get(f"{prefix}embeddings.word_embeddings.weight", None, hidden)
        rows = architecture.first_position + architecture.max_tokens
        positions = self._get(f"{prefix}embeddings.position_embeddings.weight", rows, hidden)
        types = self._get(f"{prefix}embeddings.token_type_embeddings.weight", None, hidden)
        self.vocabulary = words.shape[0]
        self._words = words.to(device, dtype)
        self._positions = (positions[architecture.first_position :] + types[0]).to(device, dtype)
        self._norm = self._make_norm(f"{prefix}embeddings.LayerNorm")
        last = architecture.layers - 1
        if any(key.startswith(f"{prefix}encoder.layer.{last + 1}.") for key in weights):
            raise ModelError(
                f"the weights have more layers than the {last + 1} of config.json",
                hint="config.json or model.safetensors belongs to another model",
            )
        self._layers = [
            self._make_layer(f"{prefix}encoder.layer.{i}.", last=i == last) for i in range(last + 1)
        ]
        dense, out = (
            ("bert.pooler.dense", "classifier")
            if architecture.model_type == "bert"
            else ("classifier.dense", "classifier.out_proj")
        )
        self._pool = self._make_head(dense, hidden)
        self._classify = self._make_head(out, architecture.columns)
        self._weights = {}

    def logits(self, pack: Pack) -> "torch.Tensor":
        """Logits float32 on the CPU [texts, columns]. Blocks for the forward."""
        import torch

        with torch.inference_mode():
            ids = torch.from_numpy(pack.ids).to(self.device)
            positions = torch.from_numpy(pack.positions).to(self.device)
            first_rows = torch.from_numpy(pack.first_rows).to(self.device)
            rows = self._norm(self._words[ids].add_(self._positions[positions]))
            attention: Attention = (
                VarlenAttention(pack, self._shape.heads, self._width, self.device)
                if self.device.type == "cuda"
                else RunAttention(pack, self._shape.heads, self._width)
            )
            for layer in self._layers:
                rows = self._run(layer, rows, first_rows, attention)
            logits = self._classify(torch.tanh(self._pool(rows.float())))
            return logits[: pack.texts].cpu()

    def _run(
        self, layer: _Layer, rows: "torch.Tensor", first_rows: "torch.Tensor", attention: Attention
    ) -> "torch.Tensor":
        if layer.qkv is not None:
            context = rows.new_zeros(rows.shape[0], self._inner)  # zeros: the added rows attend to nothing
            attention.full(layer.qkv(rows), context)
        else:
            assert layer.query is not None  # noqa: S101
            assert layer.kv is not None  # noqa: S101
            keys_and_values = layer.kv(rows)
            rows = rows[first_rows]
            context = rows.new_zeros(rows.shape[0], self._inner)
            attention.first(layer.query(rows), keys_and_values, context)
        rows = layer.attended_norm(layer.attended(context).add_(rows))
        return layer.norm(layer.narrow(layer.widen(rows)).add_(rows))

    def _make_layer(self, prefix: str, *, last: bool) -> _Layer:
        hidden, heads = self._shape.hidden, self._shape.heads
        scale = (hidden // heads) ** -0.5
        query = self._heads_of(f"{prefix}attention.self.query", scale)
        key = self._heads_of(f"{prefix}attention.self.key")
        value = self._heads_of(f"{prefix}attention.self.value")
        out = self._get(f"{prefix}attention.output.dense.weight", hidden, hidden)
        out_bias = self._get(f"{prefix}attention.output.dense.bias", hidden)
        return _Layer(
            qkv=None if last else self._joined(query, key, value),
            query=self._joined(query) if last else None,
            kv=self._joined(key, value) if last else None,
            attended=self._arranged(self._widened(out.T).T, out_bias),
            attended_norm=self._make_norm(f"{prefix}attention.output.LayerNorm"),
            widen=self._make_linear(
                f"{prefix}intermediate.dense",
                self._shape.intermediate,
                hidden,
                activation=self._shape.activation,
            ),
            narrow=self._make_linear(
                f"{prefix}output.dense",
                hidden,
                self._shape.intermediate,
                least=LEAST_ACTIVATED[self._shape.activation],
            ),
            norm=self._make_norm(f"{prefix}output.LayerNorm"),
        )

    def _heads_of(self, name: str, scale: float = 1.0) -> "tuple[torch.Tensor, torch.Tensor]":
        """Weight [inner, hidden] and bias [inner] of a projection to heads of padded width."""
        hidden = self._shape.hidden
        weight = self._get(f"{name}.weight", hidden, hidden)
        bias = self._get(f"{name}.bias", hidden)
        return self._widened(weight) * scale, self._widened(bias[:, None])[:, 0] * scale

    def _widened(self, matrix: "torch.Tensor") -> "torch.Tensor":
        """[heads * head width, n] to [heads * padded head width, n], filled with zeros."""
        from torch.nn.functional import pad

        split = matrix.reshape(self._shape.heads, -1, matrix.shape[1])
        return pad(split, (0, 0, 0, self._width - split.shape[1])).reshape(self._inner, -1)

    def _joined(self, *parts: "tuple[torch.Tensor, torch.Tensor]") -> "Linear":
        import torch

        return self._arranged(
            torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])
        )

    def _make_linear(
        self,
        name: str,
        outputs: int,
        inputs: int,
        *,
        activation: str = "",
        least: float | None = None,
    ) -> "Linear":
        weight, bias = self._get(f"{name}.weight", outputs, inputs), self._get(f"{name}.bias", outputs)
        return self._arranged(weight, bias, activation, least)

    def _arranged(
        self,
        weight: "torch.Tensor",
        bias: "torch.Tensor",
        activation: str = "",
        least: float | None = None,
    ) -> "Linear":
        if self._choice.integers:
            return make_integer_linear(weight, bias, activation, least)
        weight, bias = weight.to(self.device, self._dtype), bias.to(self.device, self._dtype)
        return make_linear(weight, bias, self._choice.kernel, activation)

    def _make_head(self, name: str, outputs: int) -> "Linear":
        """A product behind the encoder: float32 whatever the precision."""
        weight = self._get(f"{name}.weight", outputs, self._shape.hidden)
        bias = self._get(f"{name}.bias", outputs)
        return make_linear(weight.to(self.device), bias.to(self.device), self._choice.kernel)

    def _make_norm(self, name: str) -> "Norm":
        from torch.nn.functional import layer_norm

        hidden, eps = self._shape.hidden, self._shape.layer_norm_eps
        weight = self._get(f"{name}.weight", hidden).to(self.device, self._dtype)
        bias = self._get(f"{name}.bias", hidden).to(self.device, self._dtype)
        return lambda rows: layer_norm(rows, (hidden,), weight, bias, eps)

    def _get(self, key: str, *shape: int | None) -> "torch.Tensor":
        weight = self._weights.get(key)
        if weight is None:
            raise ModelError(
                f"the weights lack {key}", hint="the classifier's head must be in the checkpoint too"
            )
        if len(shape) != weight.ndim or any(
            want not in (None, have) for want, have in zip(shape, weight.shape, strict=True)
        ):
            raise ModelError(f"the weight {key} has the shape {list(weight.shape)}, not {list(shape)}")
        return weight
