import math

import pytest
import torch

from training.batches import Batch, Example, collate
from training.distil import distillation_loss
from training.model import Columns
from training.objective import log_probabilities, soft_cross_entropy

BOTH = Columns({"review": ("negative", "positive"), "title": ("negative", "neutral", "positive")})
ALL = range(BOTH.width)


def _batch(*targets: tuple[str, tuple[float, ...] | None]) -> Batch:
    examples = [Example([0, 2], kind, target, index) for index, (kind, target) in enumerate(targets)]
    return collate(examples, BOTH, pad_id=1)


def test_probabilities_stay_within_the_columns_of_the_kind() -> None:
    batch = _batch(("review", (0.0, 1.0)), ("title", (0.0, 1.0, 0.0)))
    logits = torch.tensor([[1.0, 1.0, 9.0, 9.0, 9.0], [9.0, 9.0, 2.0, 2.0, 2.0]])
    chances = log_probabilities(logits, batch.allowed).exp() * batch.allowed
    assert torch.allclose(chances[0], torch.tensor([0.5, 0.5, 0, 0, 0]))
    assert torch.allclose(chances[1], torch.tensor([0, 0, 1, 1, 1]) / 3)


def test_unlabelled_texts_cost_nothing() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), 0, 0, 0], [5.0, -5.0, 0, 0, 0]])
    batch = _batch(("review", (0.0, 1.0)), ("review", None))
    assert float(soft_cross_entropy(logits, batch)) == pytest.approx(-math.log(0.75))
    assert float(soft_cross_entropy(logits[1:], _batch(("review", None)))) == 0.0


def test_smoothing_gives_a_share_to_every_label() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), 0, 0, 0]])
    expected = -(0.9 * math.log(0.75) + 0.1 * math.log(0.25))
    assert float(soft_cross_entropy(logits, _batch(("review", (0.0, 1.0))), smoothing=0.2)) == pytest.approx(
        expected
    )


def test_a_student_that_says_what_its_teacher_says_pays_only_for_the_label() -> None:
    logits = torch.tensor([[0.3, -0.2, 0, 0, 0]])
    unlabelled, labelled = _batch(("review", None)), _batch(("review", (1.0, 0.0)))
    assert float(
        distillation_loss(
            logits, logits, unlabelled, taught=ALL, temperature=2, teacher_shares=torch.tensor([0.8])
        )
    ) == pytest.approx(0)
    loss = distillation_loss(
        logits, logits, labelled, taught=ALL, temperature=2, teacher_shares=torch.tensor([0.8])
    )
    assert float(loss) == pytest.approx(0.2 * float(soft_cross_entropy(logits, labelled)), rel=1e-5)


def test_the_divergence_is_that_of_the_softened_answers() -> None:
    student, teacher = torch.zeros(1, 5), torch.tensor([[0.0, 2 * math.log(3.0), 0, 0, 0]])
    loss = distillation_loss(
        student, teacher, _batch(("review", None)), taught=ALL, temperature=2, teacher_shares=torch.ones(1)
    )
    assert float(loss) == pytest.approx(4 * (0.25 * math.log(0.5) + 0.75 * math.log(1.5)))
