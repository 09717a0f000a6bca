"""Further pre-training: masked-language modelling on the domain's unlabelled titles and reviews."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertForMaskedLM, PreTrainedModel

from training import model as models
from training.batches import Batch, Example, check_positions, head_and_tail
from training.data import Row
from training.finetune import pad_id_of
from training.locks import locked
from training.model import Columns
from training.objective import Objective
from training.pretrained import read_pretrained
from training.runs import model_files, write_run
from training.train_config import TrainConfig
from training.trainer import State, Trainer
from worker.classify.normalise import normalise

MASKED_SHARE = 0.15
NO_KIND = "text"
_TIED = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
"""The same tensors as the word embeddings and the bias beside them: a file holds them once."""


def mask_pieces(
    input_ids: torch.Tensor, attention_mask: torch.Tensor, *, mask_id: int, vocabulary: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs with some pieces hidden, and the labels [texts, tokens] (-100 where nothing is asked).

    Of the chosen pieces 80 % become the mask, 10 % a random piece, 10 % stay, as in BERT. The first and the last piece of
    a text are never chosen.
    """
    inner = attention_mask.bool().clone()
    inner[:, 0] = False
    inner[torch.arange(len(inner)), attention_mask.sum(1) - 1] = False
    chosen = inner & (torch.rand(input_ids.shape) < MASKED_SHARE)
    labels = input_ids.masked_fill(~chosen, -100)
    draw = torch.rand(input_ids.shape)
    hidden = input_ids.masked_fill(chosen & (draw < 0.8), mask_id)
    swap = chosen & (draw >= 0.9)
    return torch.where(swap, torch.randint_like(input_ids, vocabulary), hidden), labels


def masked_objective(mask_id: int, vocabulary: int) -> Objective:
    """Cross-entropy of the hidden pieces."""

    def objective(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        inputs, labels = mask_pieces(
            batch.input_ids, batch.attention_mask, mask_id=mask_id, vocabulary=vocabulary
        )
        if not bool((labels >= 0).any()):
            labels[:, 0] = batch.input_ids[:, 0]  # very short texts: the mean over nothing would be NaN
        logits = model(input_ids=inputs, attention_mask=batch.attention_mask).logits
        return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())

    return objective


def pretrain(
    base: str,
    rows: Sequence[Row],
    out: Path,
    config: TrainConfig,
    *,
    max_tokens: int = 128,
    inputs: Sequence[Path] = (),
) -> State:
    """Go on pre-training ``base`` on the rows' texts; leave an encoder in ``out/model`` that ``finetune`` starts from.

    A tokenizer without a mask piece hides pieces behind its unknown piece.

    :raises UsageError: a text has more tokens than the encoder has positions, or another process trains in ``out``.
    """
    options = {"base": Path(base), "config": config, "max_tokens": max_tokens}
    folder = models.base_files(base)
    tokenizer = models.load_tokenizer(folder)
    torch.manual_seed(config.seed)
    model = read_pretrained(
        BertForMaskedLM, folder, named=base, drawn=("cls.",), attn_implementation=models.ATTENTION
    )
    encodings = tokenizer.encode_batch([normalise(row.text).text for row in rows])
    examples = [
        Example(head_and_tail(encoding.ids, max_tokens), NO_KIND, None, index)
        for index, encoding in enumerate(encodings)
    ]
    check_positions(examples, model)
    mask_id = next(
        found
        for piece in ("<mask>", "[MASK]", "<unk>", "[UNK]")
        if (found := tokenizer.token_to_id(piece)) is not None
    )
    trainer = Trainer(
        model,
        Columns({NO_KIND: ()}),
        examples,
        masked_objective(mask_id, model.config.vocab_size),
        config,
        out,
        pad_id=pad_id_of(tokenizer),
    )
    with locked(out):
        if trainer.rank == 0:
            write_run(out, stage="pretrain", options=options, inputs=[*inputs, *model_files(folder)])
        state = trainer.run()
        if trainer.rank == 0:
            model.config.save_pretrained(out / "model")
            own = {name: value for name, value in model.state_dict().items() if name not in _TIED}
            models.write_weights(out / "model" / models.WEIGHTS, own)
            tokenizer.save(str(out / "model" / "tokenizer.json"))
    return state
