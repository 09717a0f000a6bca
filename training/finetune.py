"""Fine-tuning: labelled rows and a base checkpoint in, a trained model's folder out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification, PreTrainedModel

from training import model as models
from training.batches import Example, check_positions, encode
from training.checkpoint import data_digest
from training.data import Row, labels_by_kind
from training.efficient.methods import positions_taken, trainable_share
from training.efficient.store import Adapters, base_digest, merged, save_efficient
from training.freezing import Freezing, freeze
from training.hooks import Stateful
from training.locks import locked
from training.metrics import score
from training.model import Columns
from training.objective import Objective
from training.options import RecipeConfig
from training.predict import logits_for, probabilities_of
from training.runs import (
    model_files,
    peak_resident_mib,
    read_json,
    remember_max_tokens,
    write_json,
    write_run,
)
from training.sets import gold_of, labels_of_set
from training.train_config import TrainConfig
from training.trainer import State, Trainer, Validation, run_length
from worker.errors import UsageError


@dataclass(frozen=True)
class FinetuneConfig:
    """What to build and how to train it."""

    train: TrainConfig = field(default_factory=TrainConfig)
    max_tokens: int = 256
    layers: tuple[int, ...] | None = None
    """Encoder layers to keep; None keeps all."""
    dropout: float = 0.0
    """Of the encoder."""
    head_dropout: float = 0.1
    """Of what the head reads."""
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    freezing: Freezing = "none"
    top_layers: int = 0
    """With ``freezing = "top"``: how many of the last layers train."""
    metric: str = "accuracy"

    def __post_init__(self) -> None:
        """Refuse what would do nothing.

        :raises UsageError: options that contradict each other.
        """
        if self.freezing != "none" and self.recipe.efficient is not None:
            raise UsageError(
                "--freezing is for --method full: the other methods freeze the encoder themselves",
                hint="leave out one of the two",
            )
        if self.train.layer_decay != 1 and (
            self.freezing == "head" or (self.recipe.efficient and self.recipe.efficient.method == "prefix")
        ):
            raise UsageError(
                "--layer-decay slows the layers beneath the head, and here none of them trains",
                hint="leave it out",
            )
        if self.recipe.adversarial != "none" and (
            self.recipe.efficient is not None or self.freezing in {"head", "top"}
        ):
            raise UsageError(
                "--adversarial moves the embeddings along their gradient, and here they are frozen",
                hint="use --method full, and --freezing none or gradual",
            )
        if self.recipe.r_drop and not self.dropout:
            raise UsageError(
                "--r-drop compares two passes that differ by dropout, and the encoder has none",
                hint="add --dropout 0.1",
            )
        if self.recipe.back_translate and not self.recipe.augment_copies:
            raise UsageError("--back-translate adds to the copies of --augment", hint="add --augment 1")
        if self.top_layers and self.freezing != "top":
            raise UsageError("--top-layers does nothing by itself", hint="add --freezing top")
        if self.recipe.efficient and self.recipe.efficient.method == "adalora" and self.train.budget_minutes:
            raise UsageError(
                "adalora prunes by the number of steps, which --minutes leaves open",
                hint="bound the run with --epochs",
            )


TOLD = ("accuracy", "macro_f1", "step", "elapsed_s", "loss", "lr")
"""What a line of ``metrics.jsonl`` holds beside the accuracy of every set."""


def validate_on(
    rows: Mapping[str, Sequence[Row]], sets: Mapping[str, Sequence[Example]], columns: Columns, *, pad_id: int
) -> Validation:
    """A function that scores a model: ``accuracy`` (mean over sets) and the accuracy of every set.

    ``sets``: some of ``rows``, encoded. A set is scored by the labels that occur in it (:func:`training.sets.labels_of_set`).

    :raises UsageError: a set has the name of something else that is told of a step; the function, where a logit is no number.
    """
    for name in sets:
        if name in TOLD:
            raise UsageError(
                f"a validation set cannot be called `{name}`, which is told of every step",
                hint="rename the file",
            )

    def validation(model: PreTrainedModel, bfloat16: bool) -> dict[str, float]:
        result: dict[str, float] = {}
        f1: list[float] = []
        for name, examples in sets.items():
            kind = examples[0].kind
            labels = labels_of_set(rows[name], columns.labels_of(kind))
            logits = logits_for(model, examples, columns, pad_id=pad_id, bfloat16=bfloat16)
            if not np.isfinite(logits).all():
                raise UsageError(
                    f"what the model answers to the validation set `{name}` is no numbers", hint="lower --lr"
                )
            probabilities = probabilities_of(logits, columns.of(kind, labels))
            scores = score(probabilities, gold_of(rows[name], labels), labels)
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
    meanings: Mapping[str, str] | None = None,
) -> State:
    """Train, and leave the best model in ``out/model``. Goes on where a killed run in ``out`` stopped.

    ``validation_rows`` has named sets, each of one kind. A base that was trained here keeps its kinds and labels beside those of
    the rows. ``meanings``: what the labels of ``inputs`` were said to mean, for ``run.json``. Blocks until the run is over.

    :raises UsageError: the rows of a kind have one label alone, or as :func:`finetune_model`.
    """
    check_labels(train_rows)
    folder = models.base_files(base)
    columns = Columns(labels_by_kind(train_rows, models.labels_in(folder)))
    model = models.build(
        base,
        columns,
        layers=config.layers,
        dropout=config.dropout,
        head_dropout=config.head_dropout,
        seed=config.train.seed,
    )
    tokenizer = models.load_tokenizer(folder)
    return finetune_model(
        model,
        tokenizer,
        columns,
        config.recipe.rows(train_rows, seed=config.train.seed),
        validation_rows,
        out,
        config,
        objective=objective or config.recipe.objective(),
        options={
            "base": Path(base),
            "config": config,
            "sizes": config.recipe.sizes(),
            "labels": dict(meanings or {}),
        },
        inputs=[*inputs, *model_files(folder)],
    )


def check_labels(rows: Sequence[Row]) -> None:
    """Raise unless the labelled rows of every kind have two labels or more.

    :raises UsageError: those of a kind have one alone.
    """
    seen: dict[str, set[str]] = {}
    for row in rows:
        if row.label is not None:
            seen.setdefault(row.kind, set()).add(row.label)
    for kind, labels in seen.items():
        if len(labels) < 2:
            raise UsageError(
                f"all training rows of kind `{kind}` are {labels.pop()}, which leaves nothing to tell apart",
                hint="add rows with another label, or leave that kind out",
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
    options: Mapping[str, Any],
    stage: str = "finetune",
    inputs: Sequence[Path] = (),
    remembered: Sequence[Stateful] = (),
) -> State:
    """Train a model that stands already; write before-and-after scores and what it cost (``cost.json``, last) beside it.

    ``options`` and ``inputs`` are what ``run.json`` tells, beside the number of rows, copies counted; a run with other options is
    not resumed. ``remembered`` is what the objective keeps from batch to batch.

    :raises UsageError: ``out`` holds a checkpoint of another run, another process trains in it, or a text has more tokens
        than the encoder has positions. Nothing in it was changed then. Or the run came to a loss, weights or answers that
        are no numbers.
    """
    pad_id = pad_id_of(tokenizer)
    examples = encode(train_rows, tokenizer, columns, max_tokens=config.max_tokens)
    sets = {
        name: encode(rows, tokenizer, columns, max_tokens=config.max_tokens)
        for name, rows in validation_rows.items()
        if rows
    }
    validation = validate_on(validation_rows, sets, columns, pad_id=pad_id) if sets else None
    base = base_digest(model) if config.recipe.efficient else ""
    # New weights must be the same in every process, and when a run goes on.
    torch.manual_seed(config.train.seed)
    trained, hooks, step_hooks = config.recipe.apply(model, steps=run_length(examples, config.train))
    for part in (examples, *sets.values()):
        check_positions(part, trained, taken=positions_taken(trained))
    # Perturbation first: it needs the embeddings' gradient, which thawing may drop.
    hooks = [*hooks, *freeze(model, config.freezing, config.top_layers)]
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
        options={**options, "validation": {name: data_digest(part) for name, part in sets.items()}},
        after_backward=hooks,
        after_step=step_hooks,
        remembered=remembered,
    )
    report = out / "before_after.json"
    with locked(out):
        if trainer.rank == 0:
            (out / "cost.json").unlink(missing_ok=True)
            write_run(out, stage=stage, options={**options, "rows": len(train_rows)}, inputs=inputs)
            if trainer.state.step == 0:
                report.unlink(missing_ok=True)
                if validation:
                    write_json(report, {"before": validation(trained, trainer.bfloat16)})
        state = trainer.run()
        if trainer.rank == 0:
            trainable, parameters = trainable_share(trained)
            cost = {
                "trainable_parameters": trainable,
                "parameters": parameters,
                "steps": state.step,
                "seconds": round(state.elapsed_s, 1),
                "peak_resident_mib": peak_resident_mib(),
                "precision": trainer.precision,
            }
            if validation:
                after = validation(trained, trainer.bfloat16)
                write_json(report, {**read_json(report), "after": after, "best_step": state.best_step})
            _save(trained, tokenizer, columns, out, config, base)  # it may fold the new weights into the old
            write_json(out / "cost.json", cost)  # last: who finds it may take the rest as whole
    return state


def _save(
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    columns: Columns,
    out: Path,
    config: FinetuneConfig,
    base: str,
) -> None:
    """A plain checkpoint in ``out/model`` where there is one; the small weights in ``out/adapters`` with other methods."""
    plain = model if isinstance(model, BertForSequenceClassification) else None
    if config.recipe.efficient is not None:
        told = Adapters(config.recipe.efficient, base, columns, config.layers)
        save_efficient(model, told, tokenizer, out / "adapters")
        remember_max_tokens(out / "adapters", config.max_tokens)
        plain = merged(model)
    if plain is not None:
        models.save(plain, tokenizer, columns, out / "model")
        remember_max_tokens(out / "model", config.max_tokens)
