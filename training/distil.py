"""Distillation: a student learns a teacher's answers on labelled and unlabelled text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

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
    teacher_share: float = 0.5
    """Weight of the teacher's answer on labelled texts; the rest goes to the label. Unlabelled texts have only the former."""
    hidden_weight: float = 1.0
    """Weight of the distance between the hidden states of the student's layers and of the teacher's same layers. With 0 the
    teacher is asked once a text, and its logits are kept for later epochs."""


class TeacherAnswers:
    """The teacher's logits by example, computed at first sight and kept: later epochs need no teacher.

    Memory: one float32 a column and example.
    """

    def __init__(self, teacher: PreTrainedModel, examples: int, columns: int) -> None:
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
    if config.hidden_weight > 0:
        objective = _hidden_objective(teacher, config.finetune.layers, config)
    else:
        objective = _logits_objective(TeacherAnswers(teacher, len(rows), columns.width), config)
    return finetune_model(
        student, tokenizer, columns, rows, validation_rows, out, config.finetune, objective=objective
    )


def _logits_objective(answers: TeacherAnswers, config: DistilConfig) -> Objective:
    def objective(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        return distillation_loss(
            logits_of(model, batch),
            answers.of(batch),
            batch,
            temperature=config.temperature,
            teacher_share=config.teacher_share,
        )

    return objective


def _hidden_objective(teacher: PreTrainedModel, layers: Sequence[int], config: DistilConfig) -> Objective:
    teacher.train(False)

    def objective(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        def outputs_of(one: PreTrainedModel) -> Any:
            return one(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=True
            )

        with torch.no_grad():
            goal = outputs_of(teacher)
        said = outputs_of(model)
        answer = distillation_loss(
            said.logits.float(),
            goal.logits.float(),
            batch,
            temperature=config.temperature,
            teacher_share=config.teacher_share,
        )
        # Entry 0 holds the embeddings, so layer n's output is entry n + 1.
        distance = hidden_distance(
            said.hidden_states[1:], [goal.hidden_states[layer + 1] for layer in layers], batch.attention_mask
        )
        return answer + config.hidden_weight * distance

    return objective
