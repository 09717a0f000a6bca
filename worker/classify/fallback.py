"""Checkpoints that have no packed forward: the stock transformers model on batches of nearly equal lengths.

Slower, and without the promise of equal bits in every batch: padding is masked, but a batch's shape may choose other
kernels. The engine says so at its start.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from worker.classify.architecture import Architecture
from worker.errors import ModelError

if TYPE_CHECKING:
    import torch

LENGTH_STEP = 16
"""Texts are padded to a multiple of it, whatever their neighbours, so that their answers hardly depend on these."""


class PaddedModel:
    """A stock sequence-classification model, its weights given. Any thread may call it."""

    def __init__(
        self,
        architecture: Architecture,
        weights: "Mapping[str, torch.Tensor]",
        dtype: "torch.dtype",
        device: "torch.device",
    ) -> None:
        """Raises ModelError when no model can be made of the configuration, or the weights do not fit it."""
        config = dict(architecture.config)
        try:
            self._pad_id = int(config.get("pad_token_id") or 0)
            self._model = _built(config, architecture.columns)
        except Exception as error:  # values that transformers or torch refuse, each in its own way
            raise ModelError(
                f"config.json makes no {architecture.model_type} model: {' '.join(str(error).split())[:200]}",
                hint="take the checkpoint's config.json as the library that trained it saved it",
            ) from error
        try:
            missing, unexpected = self._model.load_state_dict(dict(weights), strict=False)
        except RuntimeError as error:  # shapes
            raise ModelError(f"the weights do not fit the configuration: {error}") from error
        missing = [key for key in missing if not key.endswith(("position_ids", "token_type_ids"))]
        if missing or unexpected:
            raise ModelError(f"the weights do not fit the configuration: {(missing or unexpected)[:3]}")
        self._model.to(device, dtype).train(False)
        self._longest = architecture.max_tokens
        self.device = device
        self.vocabulary = int(self._model.get_input_embeddings().weight.shape[0])

    def logits(self, texts: Sequence[Sequence[int]]) -> "tuple[torch.Tensor, int]":
        """Logits float32 on the CPU [texts, columns], and the positions of padding that were computed."""
        import torch

        groups: dict[int, list[int]] = {}
        for index, ids in enumerate(texts):
            groups.setdefault(-(-len(ids) // LENGTH_STEP) * LENGTH_STEP, []).append(index)
        result: torch.Tensor | None = None
        padding = 0
        with torch.inference_mode():
            for bucket, members in groups.items():
                width = min(bucket, self._longest)
                padded_ids = np.full((len(members), width), self._pad_id, np.int64)
                mask = np.zeros((len(members), width), np.int64)
                for row, member in enumerate(members):
                    padded_ids[row, : len(texts[member])] = texts[member]
                    mask[row, : len(texts[member])] = 1
                padding += int(mask.size - mask.sum())
                answer = self._model(
                    input_ids=torch.from_numpy(padded_ids).to(self.device),
                    attention_mask=torch.from_numpy(mask).to(self.device),
                ).logits
                if result is None:
                    result = torch.empty(len(texts), answer.shape[1])
                result[members] = answer.float().cpu()
        if result is None:
            raise ValueError("no texts")
        return result, padding


def _built(config: dict[str, Any], columns: int) -> Any:
    """The model, its weights still random. Raises whatever transformers and torch raise."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    plain = {key: value for key, value in config.items() if key not in ("architectures", "model_type")}
    settings = AutoConfig.for_model(config["model_type"], **plain)
    settings.num_labels = columns
    auto: Any = AutoModelForSequenceClassification  # transformers leaves it without types
    return auto.from_config(settings, trust_remote_code=False)
