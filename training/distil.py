"""Distillation: a student learns a teacher's answers on labelled and unlabelled text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import BertForSequenceClassification

from training import model as models
from training.batches import Batch
from training.data import Row
from training.finetune import FinetuneConfig, finetune_model
from training.objective import Objective, log_probabilities, logits_of, soft_cross_entropy
from training.runs import write_run
from training.trainer import State
from worker.errors import UsageError


@dataclass(frozen=True)
class DistilConfig:
    """What the student is and how it listens."""

    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    temperature: float = 2.0
    """Softens both sides, so that the student also learns how sure the teacher is."""
    teacher_share: float = 0.8
    """Weight of the teacher's answer on labelled texts; the rest goes to the label. Unlabelled texts have only the former."""


class TeacherAnswers:
    """The teacher's logits by example, computed at first sight and kept: later epochs need no teacher.

    Memory: one float32 a column and example.
    """

    def __init__(self, teacher: BertForSequenceClassification, examples: int, columns: int) -> None:
        self._teacher = teacher.train(False)
        self._logits = torch.zeros(examples, columns)
        self._known = torch.zeros(examples, dtype=torch.bool)

    def of(self, batch: Batch) -> torch.Tensor:
        """Logits [texts, columns] in float32, without gradients."""
        if not bool(self._known[batch.index].all()):
            with torch.no_grad():
                self._logits[batch.index] = logits_of(self._teacher, batch)
            self._known[batch.index] = True
        return self._logits[batch.index]


def distillation_loss(
    student: torch.Tensor, teacher: torch.Tensor, batch: Batch, *, temperature: float, teacher_share: float
) -> torch.Tensor:
    """Mean over texts of the divergence from the teacher, mixed with the label's cross-entropy where there is one.

    ``student``, ``teacher``: logits [texts, columns]. The divergence is scaled by the squared temperature, which keeps its
    gradients as large as the label's.
    """
    goal = log_probabilities(teacher / temperature, batch.allowed)
    said = log_probabilities(student / temperature, batch.allowed)
    divergence = (goal.exp() * (goal - said) * batch.allowed).sum(-1) * temperature**2
    labelled = batch.target.sum(-1)
    weight = torch.where(labelled > 0, teacher_share, 1.0)
    share_labelled = labelled.mean()
    return (weight * divergence).mean() + (1 - teacher_share) * share_labelled * soft_cross_entropy(
        student, batch
    )


def distil(
    teacher_folder: Path,
    rows: Sequence[Row],
    validation_rows: Mapping[str, Sequence[Row]],
    out: Path,
    config: DistilConfig,
    *,
    inputs: Sequence[Path] = (),
) -> State:
    """Train a student that starts from the teacher's own layers (``config.finetune.layers``); leave it in ``out/model``.

    Teacher and student share the tokenizer, so one encoding serves both. Rows without label take part.
    """
    if config.finetune.layers is None:
        raise UsageError("say which of the teacher's layers the student keeps")
    write_run(out, stage="distil", options={"teacher": teacher_folder, "config": config}, inputs=inputs)
    teacher, tokenizer, columns = models.load(teacher_folder)
    student, _, _ = models.load(teacher_folder)
    models.keep_layers(student, config.finetune.layers)
    answers = TeacherAnswers(teacher, len(rows), columns.width)
    return finetune_model(
        student,
        tokenizer,
        columns,
        rows,
        validation_rows,
        out,
        config.finetune,
        objective=_objective(answers, config),
    )


def _objective(answers: TeacherAnswers, config: DistilConfig) -> Objective:
    def objective(model: BertForSequenceClassification, batch: Batch) -> torch.Tensor:
        return distillation_loss(
            logits_of(model, batch),
            answers.of(batch),
            batch,
            temperature=config.temperature,
            teacher_share=config.teacher_share,
        )

    return objective
