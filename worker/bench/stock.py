"""What the worker is compared with: the same model as transformers runs it, padded, and the loop that one writes first."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from worker.classify.bundle import Bundle
from worker.classify.precision import dtype_of
from worker.classify.weights import read_weights

if TYPE_CHECKING:
    import torch

PADDED_BATCH = 32
PLAIN_BATCH = 16
PLAIN_TOKENS = 128


def stock_model(bundle: Bundle, precision: str, device: "torch.device") -> Any:
    """The bundle's weights in transformers' class for them, with its usual attention (SDPA), where the worker computes."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.for_model(**bundle.architecture.config)
    factory: Any = AutoModelForSequenceClassification  # transformers leaves it untyped
    model = factory.from_config(config, attn_implementation="sdpa")
    # What is stored and not needed (an old checkpoint's pooler) the worker passes over as well.
    missing, _ = model.load_state_dict(read_weights(bundle), strict=False)
    lost = [name for name in missing if not name.endswith("position_ids")]
    if lost:
        raise RuntimeError(f"the stock model is not the bundle's: {lost}")
    return model.eval().to(device, dtype_of(precision))


def padded_seconds(model: Any, sequences: Sequence[Sequence[int]], padding_id: int) -> float:
    """Seconds for all token id sequences, in arrival order, each batch of 32 padded to its longest."""
    import torch

    began = time.perf_counter()
    with torch.inference_mode():
        for start in range(0, len(sequences), PADDED_BATCH):
            batch = sequences[start : start + PADDED_BATCH]
            longest = max(map(len, batch))
            ids = torch.full((len(batch), longest), padding_id)
            mask = torch.zeros((len(batch), longest), dtype=torch.long)
            for row, sequence in enumerate(batch):
                ids[row, : len(sequence)] = torch.tensor(sequence)
                mask[row, : len(sequence)] = 1
            ids, mask = ids.to(model.device), mask.to(model.device)
            model(input_ids=ids, attention_mask=mask).logits.float().tolist()
    return time.perf_counter() - began


def padding_share(lengths: Sequence[int]) -> float:
    """Share of the tokens in `padded_seconds`' batches that are padding. Pure."""
    slots = 0
    for start in range(0, len(lengths), PADDED_BATCH):
        batch = lengths[start : start + PADDED_BATCH]
        slots += len(batch) * max(batch)
    return 1 - sum(lengths) / slots


def plain_tokenizer(bundle: Bundle) -> Any:
    """The bundle's tokenizer as transformers wraps it."""
    from transformers import PreTrainedTokenizerFast

    wrap: Any = PreTrainedTokenizerFast  # transformers leaves it untyped
    tokenizer = wrap(tokenizer_file=str(bundle.folder / "tokenizer.json"))
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding_id(bundle))
    return tokenizer


def padding_id(bundle: Bundle) -> int:
    """The id that fills a row up."""
    return int(bundle.architecture.config.get("pad_token_id") or 0)


def plain_seconds(model: Any, tokenizer: Any, texts: Sequence[str]) -> float:
    """Seconds for the loop that one writes first: each text through the tokenizer, padded to 128, batches of 16."""
    import torch

    began = time.perf_counter()
    with torch.no_grad():
        for start in range(0, len(texts), PLAIN_BATCH):
            rows = [
                tokenizer(text, padding="max_length", max_length=PLAIN_TOKENS, truncation=True)
                for text in texts[start : start + PLAIN_BATCH]
            ]
            logits = model(
                input_ids=torch.tensor([row["input_ids"] for row in rows], device=model.device),
                attention_mask=torch.tensor([row["attention_mask"] for row in rows], device=model.device),
            ).logits
            torch.softmax(logits, dim=-1).tolist()
    return time.perf_counter() - began
