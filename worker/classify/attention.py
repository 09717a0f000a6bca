"""Attention within each text of a pack.

On a CPU: one batched product over every run of texts of equal length, in float32 whatever the precision (bfloat16
products of ever new shapes cost 0.4 ms each to compile in oneDNN, and torch's fused kernel is slower than these on short
texts). Nothing is masked, because nothing of another text is ever in a product.

On CUDA: one variable-length kernel over all texts. **Unmeasured**: no GPU was at hand when it was written.
"""

import inspect
from typing import TYPE_CHECKING, Protocol

from worker.classify.pack import Pack, Run
from worker.errors import ModelError

if TYPE_CHECKING:
    import torch

HEAD_STEP = 16
"""Head widths are filled up to a multiple of it with zeros: then each head's matrix begins at a multiple of 64 bytes, and
MKL, whose float32 results depend on where a matrix begins, gives the same bits wherever a text stands."""


def padded_head(width: int) -> int:
    """Width that one head has inside the forward."""
    return -(-width // HEAD_STEP) * HEAD_STEP


class Attention(Protocol):
    """Attention for one pack. `heads * width` is written as `inner`; queries are scaled already."""

    def full(self, qkv: "torch.Tensor", out: "torch.Tensor") -> None:
        """From qkv [rows, 3 * inner] (queries, keys, values) write every row's context to out [rows, inner]."""
        ...

    def first(self, queries: "torch.Tensor", kv: "torch.Tensor", out: "torch.Tensor") -> None:
        """The same for the first rows only: queries [text rows, inner], kv [rows, 2 * inner], out [text rows, inner]."""
        ...


class RunAttention:
    """The CPU's."""

    def __init__(self, pack: Pack, heads: int, width: int) -> None:
        self._runs = pack.runs
        self._heads = heads
        self._width = width

    def full(self, qkv: "torch.Tensor", out: "torch.Tensor") -> None:
        """See `Attention`."""
        for run in self._runs:
            query, key, value = self._split(qkv, run, 3)
            self._attend(query, key, value, out[run.first_row : run.last_row], run)

    def first(self, queries: "torch.Tensor", kv: "torch.Tensor", out: "torch.Tensor") -> None:
        """See `Attention`."""
        for run in self._runs:
            key, value = self._split(kv, run, 2)
            texts = slice(run.first_text, run.first_text + run.texts)
            query = queries[texts].float().view(run.texts * self._heads, 1, self._width)
            self._attend(query, key, value, out[texts], run)

    def _split(self, packed: "torch.Tensor", run: Run, parts: int) -> "torch.Tensor":
        """[rows, parts * inner] to float32 [parts, texts * heads, length, width] of one run."""
        import torch

        rows = packed[run.first_row : run.last_row]
        split = torch.empty(parts, run.texts, self._heads, run.length, self._width)
        split.copy_(rows.view(run.texts, run.length, parts, self._heads, self._width).permute(2, 0, 3, 1, 4))
        return split.view(parts, run.texts * self._heads, run.length, self._width)

    def _attend(
        self,
        query: "torch.Tensor",
        key: "torch.Tensor",
        value: "torch.Tensor",
        out: "torch.Tensor",
        run: Run,
    ) -> None:
        """Write softmax(query key') value to `out`, whose rows are the run's texts times as many queries as it has."""
        import torch

        weights = torch.softmax(torch.bmm(query, key.transpose(1, 2)), -1)
        context = torch.bmm(weights, value).view(run.texts, self._heads, -1, self._width)
        out.view(run.texts, -1, self._heads, self._width).copy_(context.transpose(1, 2))


def require_varlen() -> None:
    """Raise where `VarlenAttention` cannot work, before anything is loaded onto a GPU.

    Raises:
        ModelError: this torch's function has other arguments. It had no `num_splits` at first, nor `scale`.
    """
    import torch

    try:
        from torch.nn.attention.varlen import varlen_attn

        known = set(inspect.signature(varlen_attn).parameters)
    except ImportError:
        known = set()
    if not {"scale", "num_splits"} <= known:
        raise ModelError(
            f"the variable-length attention of torch {torch.__version__} lacks what the worker needs on a GPU",
            hint="install torch 2.15 or newer, or set TAGLINE_MODEL_DEVICE=cpu",
        )


class VarlenAttention:
    """CUDA's. `num_splits=1` is documented as giving the same bits in every batch."""

    def __init__(self, pack: Pack, heads: int, width: int, device: "torch.device") -> None:
        import torch

        starts = [int(row) for row in pack.first_rows[: pack.texts]]
        # Python ints and one transfer: a value read back from the device would stop it at every layer.
        self._longest = max(run.length for run in pack.runs)
        self._bounds = torch.tensor([*starts, pack.tokens], dtype=torch.int32, device=device)
        self._firsts = torch.arange(pack.texts + 1, dtype=torch.int32, device=device)
        self._heads = heads
        self._width = width
        self._texts = pack.texts
        self._tokens = pack.tokens

    def full(self, qkv: "torch.Tensor", out: "torch.Tensor") -> None:
        """See `Attention`."""
        query, key, value = qkv[: self._tokens].view(-1, 3, self._heads, self._width).unbind(1)
        context = self._varlen(query, key, value, self._bounds, self._longest)
        out[: self._tokens] = context.reshape(self._tokens, -1)

    def first(self, queries: "torch.Tensor", kv: "torch.Tensor", out: "torch.Tensor") -> None:
        """See `Attention`."""
        key, value = kv[: self._tokens].view(-1, 2, self._heads, self._width).unbind(1)
        query = queries[: self._texts].view(-1, self._heads, self._width)
        out[: self._texts] = self._varlen(query, key, value, self._firsts, 1).reshape(self._texts, -1)

    def _varlen(
        self,
        query: "torch.Tensor",
        key: "torch.Tensor",
        value: "torch.Tensor",
        query_bounds: "torch.Tensor",
        longest_query: int,
    ) -> "torch.Tensor":
        from torch.nn.attention.varlen import varlen_attn

        context = varlen_attn(
            query,
            key,
            value,
            query_bounds,
            self._bounds,
            longest_query,
            self._longest,
            scale=1.0,
            num_splits=1,
        )
        assert not isinstance(context, tuple)  # noqa: S101 - only with return_aux
        return context
