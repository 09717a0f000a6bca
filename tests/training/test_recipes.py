"""Recipes against over-fitting: what each must leave as it was, and what it must change."""

import random
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from training import model as models
from training.batches import Batch, collate, encode
from training.data import Row
from training.finetune import FinetuneConfig, finetune
from training.hooks import Hook, StepContext
from training.model import Columns
from training.objective import cross_entropy
from training.recipes.adversarial import Fgm, Pgd
from training.recipes.augment import Augmentation, augmented, changed
from training.recipes.ensemble import average_probabilities, soup
from training.recipes.r_drop import r_drop, symmetric_divergence
from training.train_config import TrainConfig
from worker.errors import UsageError

COLUMNS = Columns({"review": ("negative", "positive")})


def context_of(base: Path, rows: list[Row], dropout: float = 0.0) -> StepContext:
    model = models.build(str(base), COLUMNS, dropout=dropout, head_dropout=dropout)
    tokenizer = models.load_tokenizer(base)
    batch = collate(encode(rows[:8], tokenizer, COLUMNS, max_tokens=32), COLUMNS, pad_id=1)
    return StepContext(model, batch, cross_entropy())


@pytest.mark.parametrize("hook", [Fgm(0.5).hook(), Pgd(0.5, 0.2, 3).hook()])
def test_adversarial_steps_add_gradients_and_put_the_embeddings_back(
    base: Path, train_rows: list[Row], hook: Hook
) -> None:
    context = context_of(base, train_rows)
    context.backward()
    table = context.model.get_input_embeddings().weight
    before = table.detach().clone()
    plain = {name: p.grad.clone() for name, p in context.model.named_parameters() if p.grad is not None}
    hook(context)
    assert torch.equal(table, before)
    after = {name: p.grad for name, p in context.model.named_parameters() if p.grad is not None}
    assert after.keys() == plain.keys()
    moved = [name for name, grad in after.items() if not torch.equal(grad, plain[name])]
    assert len(moved) > len(plain) // 2
    # The same point would give exactly twice the gradient; a worse point gives another direction.
    classifier = after["classifier.weight"]
    assert not torch.allclose(classifier, 2 * plain["classifier.weight"])


def test_an_adversarial_point_is_worse_than_the_true_one(base: Path, train_rows: list[Row]) -> None:
    context = context_of(base, train_rows)
    losses: list[float] = []

    def recording(model: object, batch: object) -> torch.Tensor:
        loss = cross_entropy()(context.model, context.batch)
        losses.append(float(loss.detach()))
        return loss

    watched = StepContext(context.model, context.batch, recording)
    watched.backward()
    Fgm(0.5).hook()(watched)
    assert losses[1] > losses[0]


def test_r_drop_punishes_disagreement_only(base: Path, train_rows: list[Row]) -> None:
    allowed = torch.tensor([[True, True, False]])
    same = torch.tensor([[1.0, -1.0, 9.0]])
    assert symmetric_divergence(same, same, allowed).item() == 0
    # By hand: p = (0.5, 0.5), q = (0.75, 0.25): ((-0.25) ln(2/3) + 0.25 ln 2) / 2 = 0.25 ln 3 / 2.
    first, second = torch.log(torch.tensor([[0.5, 0.5, 1.0]])), torch.log(torch.tensor([[0.75, 0.25, 7.0]]))
    assert symmetric_divergence(first, second, allowed).item() == pytest.approx(0.25 * np.log(3) / 2)
    context = context_of(base, train_rows, dropout=0.3)
    context.model.train()
    loss = r_drop(4.0)(context.model, context.batch)
    assert loss.requires_grad
    assert loss.item() > 0


def test_augmentation_keeps_originals_labels_and_negations() -> None:
    rows = [
        Row("the good item came fast and it works well every day", "positive"),
        Row("质量不错，物流很快，推荐大家来买这一款", "positive"),
        Row("unlabelled text stays alone"),
    ]
    result = augmented(rows, Augmentation(copies=3, synonym_share=0.9), seed=1)
    assert [row for row in result if row in rows] == rows
    assert len(result) > len(rows) + 2
    assert {row.label for row in result if row not in rows} == {"positive"}
    assert augmented(rows, Augmentation(copies=3, synonym_share=0.9), seed=1) == result
    chooser = random.Random(0)
    heavy = Augmentation(swap_share=0.9, delete_share=0.9, synonym_share=0)
    for _ in range(50):
        assert "is not good" in changed(
            "well this thing is not good at all whatever one may say", heavy, chooser
        )


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("well this is not a good phone at all whatever one may say here", "not a good phone"),
        ("well one cannot call it a good phone whatever other people may say here", "cannot call it a good"),
        (
            "well one can\u2019t call it good whatever other people may say about this",
            "can\u2019t call it good",
        ),
        ("the thing is neither good nor cheap whatever other people may say", "neither good nor cheap"),
        ("it is far too loud and so on whatever other people may say of it", "too loud"),
        ("well i dont really like it much whatever other people may say", "dont really like it"),
        ("这个东西真的不是很好看而且颜色也就那样吧大家自己决定", "不是很好"),
        ("这个东西真的难用得要命而颜色也就那样吧大家自己决定", "难用"),
        ("各位大家看清楚勿买这个东西颜色也就那样大家自己决定", "勿买"),
    ],
)
def test_what_is_negated_stays_where_it_is(text: str, kept: str) -> None:
    chooser = random.Random(0)
    heavy = Augmentation(swap_share=0.9, delete_share=0.9, synonym_share=0)
    copies = [changed(text, heavy, chooser) for _ in range(50)]
    assert all(kept in copy for copy in copies)
    assert any(copy != text for copy in copies)


def test_the_time_of_a_changed_copy_grows_as_the_text() -> None:
    text = "well this thing is not good at all whatever one may say of it here " * 4_000
    start = time.process_time()
    assert changed(text, Augmentation(), random.Random(0)) != text
    assert time.process_time() - start < 20  # a second; squared it would be minutes


def test_back_translation_is_a_hook() -> None:
    rows = [Row("it works", "positive")]
    result = augmented(rows, Augmentation(copies=0), seed=0, back_translate=lambda text: text + " fine")
    assert [row.text for row in result] == ["it works", "it works fine"]


def test_ensembles_average_and_a_soup_is_the_mean_of_its_weights(
    base: Path, train_rows: list[Row], other_rows: list[Row], tmp_path: Path
) -> None:
    folders = []
    for seed in (1, 2):
        config = FinetuneConfig(
            train=TrainConfig(epochs=1, lr=1e-3, seed=seed, precision="float32"), max_tokens=32
        )
        finetune(str(base), train_rows, {"held out": other_rows}, tmp_path / str(seed), config)
        folders.append(tmp_path / str(seed) / "model")
    mixed = soup(folders)
    weights = [models.load(folder)[0].state_dict()["classifier.weight"] for folder in folders]
    assert not torch.equal(weights[0], weights[1])
    assert torch.allclose(mixed.state_dict()["classifier.weight"], (weights[0] + weights[1]) / 2)
    with pytest.raises(UsageError, match="at least two"):
        soup(folders[:1])
    averaged = average_probabilities([np.array([[0.2, 0.8]]), np.array([[0.4, 0.6]])])
    assert averaged == pytest.approx(np.array([[0.3, 0.7]]))
    with pytest.raises(UsageError):
        average_probabilities([np.zeros((1, 2)), np.zeros((1, 3))])


def test_a_walk_that_finds_no_direction_leaves_the_plain_gradient(base: Path, train_rows: list[Row]) -> None:
    context = context_of(base, train_rows)
    asked: list[int] = []

    def flat_where_it_was_moved(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        asked.append(1)
        return cross_entropy()(model, batch) * (len(asked) == 1)

    watched = StepContext(context.model, context.batch, flat_where_it_was_moved)
    watched.backward()
    plain = {name: p.grad.clone() for name, p in context.model.named_parameters() if p.grad is not None}
    Pgd(0.5, 0.2, 3).hook()(watched)
    assert len(asked) == 2
    for name, parameter in context.model.named_parameters():
        assert parameter.grad is None if name not in plain else torch.equal(parameter.grad, plain[name])
