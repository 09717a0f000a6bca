"""Fine-tuning: labelled rows and a base checkpoint in, a trained model's folder out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification, PreTrainedModel

from training import model as models
from training.batches import Example, encode
from training.data import Row, labels_by_kind
from training.efficient.methods import trainable_share
from training.efficient.store import merged, save_efficient
from training.freezing import Freezing, freeze
from training.metrics import score
from training.model import Columns
from training.objective import Objective
from training.options import RecipeConfig
from training.predict import gold_of, logits_for, probabilities_of
from training.runs import peak_resident_mb, read_json, write_json, write_run
from training.trainer import State, TrainConfig, Trainer, Validation, fastest_precision, run_length


@dataclass(frozen=True)
class FinetuneConfig:
    """What to build and how to train it."""

    train: TrainConfig = field(default_factory=TrainConfig)
    max_tokens: int = 256
    layers: tuple[int, ...] | None = None
    """Encoder layers to keep; None keeps all."""
    dropout: float = 0.0
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    freezing: Freezing = "none"
    top_layers: int = 0
    """With ``freezing = "top"``: how many of the last layers train."""
    metric: str = "accuracy"


def validate_on(
    sets: Mapping[str, Sequence[Example]], columns: Columns, *, pad_id: int, bfloat16: bool
) -> Validation:
    """A function that scores a model: ``accuracy`` (mean over sets) and the accuracy of every set."""

    def validation(model: PreTrainedModel) -> dict[str, float]:
        result: dict[str, float] = {}
        f1: list[float] = []
        for name, examples in sets.items():
            kind = examples[0].kind
            logits = logits_for(model, examples, columns, pad_id=pad_id, bfloat16=bfloat16)
            scores = score(
                probabilities_of(logits, columns.of(kind)), gold_of(examples), columns.labels[kind]
            )
            result[name], f1 = scores.accuracy, [*f1, scores.macro_f1]
        return {"accuracy": float(np.mean(list(result.values()))), "macro_f1": float(np.mean(f1)), **result}

    return validation


def pad_id_of(tokenizer: Tokenizer) -> int:
    """The id of the padding piece, whichever of the usual names it has."""
    for piece in ("<pad>", "[PAD]"):
        found = tokenizer.token_to_id(piece)
        if found is not None:
            return int(found)
    return 0


def finetune(
    base: str,
    train_rows: Sequence[Row],
    validation_rows: Mapping[str, Sequence[Row]],
    out: Path,
    config: FinetuneConfig,
    *,
    objective: Objective | None = None,
    inputs: Sequence[Path] = (),
) -> State:
    """Train, and leave the best model in ``out/model``. Goes on where a killed run in ``out`` stopped.

    ``validation_rows`` has named sets, each of one kind. Blocks until the run is over.
    """
    write_run(out, stage="finetune", options={"base": Path(base), "config": config}, inputs=inputs)
    columns = Columns(labels_by_kind(train_rows))
    model = models.build(base, columns, layers=config.layers, dropout=config.dropout, seed=config.train.seed)
    tokenizer = models.load_tokenizer(models.base_files(base))
    return finetune_model(
        model,
        tokenizer,
        columns,
        config.recipe.rows(train_rows, seed=config.train.seed),
        validation_rows,
        out,
        config,
        objective=objective or config.recipe.objective(),
    )


def finetune_model(
    model: BertForSequenceClassification,
    tokenizer: Tokenizer,
    columns: Columns,
    train_rows: Sequence[Row],
    validation_rows: Mapping[str, Sequence[Row]],
    out: Path,
    config: FinetuneConfig,
    *,
    objective: Objective,
) -> State:
    """Train a model that stands already; write before-and-after scores and what it cost (``cost.json``) beside it."""
    pad_id = pad_id_of(tokenizer)
    examples = encode(train_rows, tokenizer, columns, max_tokens=config.max_tokens)
    sets = {
        name: encode(rows, tokenizer, columns, max_tokens=config.max_tokens)
        for name, rows in validation_rows.items()
        if rows
    }
    bfloat16 = (config.train.precision == "auto" and fastest_precision() == "bfloat16") or (
        config.train.precision == "bfloat16"
    )
    validation = validate_on(sets, columns, pad_id=pad_id, bfloat16=bfloat16) if sets else None
    trained, hooks = config.recipe.apply(model, steps=run_length(examples, config.train))
    if config.recipe.efficient is None:
        hooks = [*freeze(model, config.freezing, config.top_layers), *hooks]
    trainer = Trainer(
        trained,
        columns,
        examples,
        objective,
        config.train,
        out,
        pad_id=pad_id,
        validation=validation,
        metric=config.metric,
        after_backward=hooks,
    )
    report = out / "before_after.json"
    before = validation(trained) if validation and not report.is_file() else None
    if before is not None:
        write_json(report, {"before": before})
    state = trainer.run()
    if trainer.rank == 0:
        trainable, parameters = trainable_share(trained)
        write_json(
            out / "cost.json",
            {
                "trainable_parameters": trainable,
                "parameters": parameters,
                "steps": state.step,
                "seconds": round(state.elapsed_s, 1),
                "peak_resident_mb": peak_resident_mb(),
            },
        )
        if validation:
            write_json(
                report, {**read_json(report), "after": validation(trained), "best_step": state.best_step}
            )
        _save(
            trained, tokenizer, columns, out, config.recipe
        )  # last: it may fold the new weights into the old
    return state


def _save(
    model: PreTrainedModel, tokenizer: Tokenizer, columns: Columns, out: Path, recipe: RecipeConfig
) -> None:
    """A plain checkpoint in ``out/model`` where there is one; the small weights in ``out/adapters`` with other methods."""
    plain = model if isinstance(model, BertForSequenceClassification) else None
    if recipe.efficient is not None:
        save_efficient(model, recipe.efficient, out / "adapters")
        plain = merged(model)
    if plain is not None:
        models.save(plain, tokenizer, columns, out / "model")
