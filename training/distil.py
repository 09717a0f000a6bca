"""Distillation: a student learns the answers of one teacher, or of several together, on labelled and unlabelled text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from training import model as models
from training.batches import Batch
from training.checkpoint import weights_digest
from training.data import Row
from training.finetune import FinetuneConfig, finetune_model
from training.model import Columns
from training.objective import Objective, log_probabilities, logits_of
from training.trainer import State
from worker.classify.answers import LABELS
from worker.errors import UsageError


@dataclass(frozen=True)
class DistilConfig:
    """What the student is and how it listens."""

    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    temperature: float = 2.0
    """Softens both sides, so that the student also learns how sure the teacher is."""
    teacher_share: float = 0.5
    """Weight of the teacher's answer on labelled texts; the rest goes to the label. Unlabelled texts have only the former."""
    trusted: tuple[str, ...] = ()
    """Sources of rows (`Row.source`) whose labels are better than what any teacher says: there the label alone counts."""
    hidden_weight: float = 1.0
    """Weight of the distance between the hidden states of the student's layers and of the teacher's same layers."""
    hidden_epochs: int | None = None
    """Epochs in which hidden states are compared; None compares them in all. Later epochs need only the teacher's logits,
    which were kept, so they cost half as much."""

    def __post_init__(self) -> None:
        """Refuse what would do nothing.

        :raises UsageError: options that contradict each other.
        """
        if self.hidden_epochs is not None and self.hidden_weight == 0:
            raise UsageError(
                "--hidden-epochs does nothing when --hidden-weight is 0", hint="leave out one of the two"
            )
        recipe = self.finetune.recipe
        if recipe.r_drop or recipe.label_smoothing or recipe.augment_copies:
            raise UsageError("a student learns from its teacher: no R-Drop, label smoothing or augmentation")


class TeacherAnswers:
    """The teachers' mean logits by example, computed at first sight and kept: later epochs need no teacher.

    Logits [texts, columns] are in the teachers' columns. Memory: one float32 a column and example.
    """

    def __init__(self, teachers: Sequence[PreTrainedModel], examples: int) -> None:
        """The first teacher is the one whose hidden states are told; the others give logits only."""
        self._first, *self._others = [teacher.train(False) for teacher in teachers]
        self._logits = torch.zeros(examples, self._first.config.num_labels)
        self._known = torch.zeros(examples, dtype=torch.bool)

    def of(self, batch: Batch) -> torch.Tensor:
        """Logits [texts, columns] in float32, without gradients."""
        if not bool(self._known[batch.index].all()):
            with torch.no_grad():
                self._keep(batch, logits_of(self._first, batch))
        return self._logits[batch.index]

    def with_hidden(self, batch: Batch) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """The same, and the first teacher's embeddings and the output of its every layer, each [texts, tokens, width].

        Hidden states are not kept: the first teacher reads the texts each time, the others once.
        """
        with torch.no_grad():
            said = self._first(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=True
            )
            if not bool(self._known[batch.index].all()):
                self._keep(batch, said.logits.float())
        return self._logits[batch.index], said.hidden_states

    def state_dict(self) -> dict[str, Any]:
        """What was said: asked again beside other neighbours, the teacher answers otherwise in the last digits."""
        return {"logits": self._logits, "known": self._known}

    def load_state_dict(self, stored: Mapping[str, Any]) -> None:
        """Remember that instead."""
        self._logits, self._known = stored["logits"], stored["known"]

    def _keep(self, batch: Batch, first: torch.Tensor) -> None:
        """Keep the mean of what the first teacher said and of what the others say to the same batch."""
        said = [first, *(logits_of(teacher, batch) for teacher in self._others)]
        self._logits[batch.index] = torch.stack(said).mean(0)
        self._known[batch.index] = True


def distillation_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    batch: Batch,
    *,
    taught: Sequence[int],
    temperature: float,
    teacher_shares: torch.Tensor,
) -> torch.Tensor:
    """Mean over texts of the divergence from the teacher, mixed with the label's cross-entropy.

    ``student``: logits [texts, columns]. ``teacher``: logits [texts, taught], in the order of ``taught``, the student's columns
    that the teacher knows too. The divergence is of the choice among those: a teacher that knows no neutral has nothing to say
    of how likely it is. ``teacher_shares`` [texts]: the weight of the teacher's answer to each text, 1 where there is no label;
    the rest goes to the label. The divergence is scaled by the squared temperature, which keeps its gradients as large as the
    label's.
    """
    both_know = batch.allowed[:, taught]
    goal = log_probabilities(teacher / temperature, both_know)
    said = log_probabilities(student[:, taught] / temperature, both_know)
    divergence = (goal.exp() * (goal - said) * both_know).sum(-1) * temperature**2
    label_loss = -(batch.target * log_probabilities(student, batch.allowed)).sum(-1)
    return (teacher_shares * divergence + (1 - teacher_shares) * label_loss).mean()


def teacher_shares_of(rows: Sequence[Row], config: DistilConfig) -> torch.Tensor:
    """The weight of the teacher's answer for every row [rows].

    :raises UsageError: no labelled row comes from a trusted source.
    """
    sources = {row.source for row in rows if row.label is not None}
    for source in config.trusted:
        if source not in sources:
            raise UsageError(
                f"no labelled text comes from the trusted source `{source}`",
                hint=f"labelled ones come from {', '.join(sorted(sources)) or 'nowhere'}",
            )

    def share(row: Row) -> float:
        if row.label is None:
            return 1.0
        return 0.0 if row.source in config.trusted else config.teacher_share

    return torch.tensor([share(row) for row in rows])


def hidden_distance(
    student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor], mask: torch.Tensor
) -> torch.Tensor:
    """Mean squared distance of hidden states over the real tokens, as a share of the teacher's own mean square.

    ``student``, ``teacher``: as many tensors [texts, tokens, width] each, paired in order. ``mask`` [texts, tokens].
    """
    real = mask.bool()
    shares = []
    for own, goal in zip(student, teacher, strict=True):
        target = goal[real].float()
        shares.append((own[real].float() - target).square().mean() / target.square().mean())
    return torch.stack(shares).mean()


def distil(
    teacher_folders: Sequence[Path],
    rows: Sequence[Row],
    validation_rows: Mapping[str, Sequence[Row]],
    out: Path,
    config: DistilConfig,
    *,
    inputs: Sequence[Path] = (),
    meanings: Mapping[str, str] | None = None,
) -> State:
    """Train a student that starts from the first teacher's own layers (``config.finetune.layers``); leave it in ``out/model``.

    Several teachers answer by the mean of their logits, as an ensemble does. All of them and the student share one
    tokenizer, so one encoding serves all. The student's dropout is its own, whatever the teacher had. Rows without label take
    part. Where rows of a kind are neutral and the teachers know only negative and positive, the student gets a neutral column,
    which the labels alone teach. ``meanings``: what the labels of ``inputs`` were said to mean, for ``run.json``.

    :raises UsageError: no layers or teachers are named, the teachers differ in vocabulary or columns, or a trusted source is
        among no labelled rows.
    """
    if not teacher_folders:
        raise UsageError("there is nobody to learn from", hint="name a teacher's folder")
    if config.finetune.layers is None:
        raise UsageError("say which of the teacher's layers the student keeps")
    student, tokenizer, known = models.load(teacher_folders[0])
    teachers = [_teacher(folder, tokenizer, known) for folder in teacher_folders]
    columns = columns_with_neutral(known, rows)
    models.set_dropout(student, config.finetune.dropout, config.finetune.head_dropout)
    models.keep_layers(models.with_columns(student, known, columns), config.finetune.layers)
    answers = TeacherAnswers(teachers, len(rows))
    taught = [column for kind, labels in known.labels.items() for column in columns.of(kind, labels)]
    objective = _objective(answers, taught, teacher_shares_of(rows, config), config.finetune.layers, config)
    return finetune_model(
        student,
        tokenizer,
        columns,
        rows,
        validation_rows,
        out,
        config.finetune,
        objective=objective,
        options={
            "teachers": [weights_digest(teacher) for teacher in teachers],
            "config": config,
            "labels": dict(meanings or {}),
        },
        stage="distil",
        inputs=inputs,
        remembered=[answers],
    )


def columns_with_neutral(known: Columns, rows: Sequence[Row]) -> Columns:
    """The teachers' columns, with a neutral one for every kind of negative and positive of which a row is neutral."""
    neutral = {row.kind for row in rows if row.label == "neutral"}
    return Columns(
        {
            kind: LABELS if kind in neutral and set(labels) == {"negative", "positive"} else labels
            for kind, labels in known.labels.items()
        }
    )


def _teacher(folder: Path, tokenizer: Tokenizer, columns: Columns) -> PreTrainedModel:
    """One teacher, which must read and answer as the first one does."""
    model, own_tokenizer, own_columns = models.load(folder)
    if own_tokenizer.to_str() != tokenizer.to_str() or own_columns != columns:
        raise UsageError(
            f"the teacher in {folder} has another vocabulary or other labels than the first one",
            hint="teachers are fine-tuned from one base, on the same kinds and labels",
        )
    return model


def _objective(
    answers: TeacherAnswers,
    taught: Sequence[int],
    teacher_shares: torch.Tensor,
    layers: Sequence[int],
    config: DistilConfig,
) -> Objective:
    """The divergence from the teacher's answers and, in the first epochs, the distance from its hidden states."""
    if config.hidden_weight == 0:
        epochs = 0.0
    else:
        epochs = math.inf if config.hidden_epochs is None else config.hidden_epochs

    def objective(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        compared = batch.epoch < epochs
        said = model(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=compared
        )
        goal, hidden = answers.with_hidden(batch) if compared else (answers.of(batch), ())
        answer = distillation_loss(
            said.logits.float(),
            goal,
            batch,
            taught=taught,
            temperature=config.temperature,
            teacher_shares=teacher_shares[batch.index],
        )
        if not compared:
            return answer
        # Entry 0 holds the embeddings, so layer n's output is entry n + 1.
        chosen = [hidden[layer + 1] for layer in layers]
        return answer + config.hidden_weight * hidden_distance(
            said.hidden_states[1:], chosen, batch.attention_mask
        )

    return objective
