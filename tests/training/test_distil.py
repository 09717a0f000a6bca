"""What a student hears of its teacher, and when."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertForSequenceClassification

from training import distil as distillation
from training import model as models
from training.batches import Batch, collate, encode
from training.data import Row
from training.distil import DistilConfig, TeacherAnswers, distil, distillation_loss
from training.evaluate import logits_on
from training.finetune import FinetuneConfig
from training.model import Columns, build, load_tokenizer
from training.objective import logits_of
from training.train_config import TrainConfig
from worker.errors import UsageError

COLUMNS = Columns({"review": ("negative", "positive")})
QUICK = TrainConfig(epochs=3, lr=1e-3, tokens_per_batch=512, precision="float32", seed=1)


@pytest.fixture
def teacher(base: Path, tmp_path: Path) -> Path:
    model = build(str(base), COLUMNS, seed=3)
    models.save(model, load_tokenizer(base), COLUMNS, tmp_path / "teacher")
    return tmp_path / "teacher"


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """(layers of the model, hidden states asked for) of every forward."""
    seen: list[tuple[int, bool]] = []
    stock = BertForSequenceClassification.forward

    def forward(self: BertForSequenceClassification, *args: Any, **options: Any) -> Any:
        seen.append((self.config.num_hidden_layers, bool(options.get("output_hidden_states"))))
        return stock(self, *args, **options)

    monkeypatch.setattr(BertForSequenceClassification, "forward", forward)
    return seen


@pytest.mark.parametrize(("hidden_epochs", "share"), [(1, 1 / 3), (None, 1.0), (0, 1 / 3)])
def test_the_teacher_is_asked_once_a_text_when_its_hidden_states_are_not(
    teacher: Path,
    train_rows: list[Row],
    tmp_path: Path,
    forwards: list[tuple[int, bool]],
    hidden_epochs: int | None,
    share: float,
) -> None:
    config = DistilConfig(
        finetune=FinetuneConfig(train=QUICK, max_tokens=32, layers=(1, 3)), hidden_epochs=hidden_epochs
    )
    state = distil([teacher], train_rows, {}, tmp_path / "run", config)
    asked = [hidden for layers, hidden in forwards if layers == 4]
    # The batches of an epoch are drawn anew, so their number changes a little and a text may be asked for twice.
    assert len(asked) == pytest.approx(share * state.step, abs=3)
    assert all(hidden == (hidden_epochs != 0) for hidden in asked)


def test_a_remembered_answer_is_the_teachers(base: Path, train_rows: list[Row]) -> None:
    model = build(str(base), COLUMNS, seed=3).train(False)
    batch = _batch(base, train_rows[:7])
    answers = TeacherAnswers([model], 7)
    with torch.no_grad():
        fresh = logits_of(model, batch)
    for _ in range(2):
        torch.testing.assert_close(answers.of(batch), fresh)
    logits, hidden = answers.with_hidden(batch)
    torch.testing.assert_close(logits, fresh)
    assert len(hidden) == 5
    assert not logits.requires_grad


def test_several_teachers_answer_by_their_mean_and_the_first_shows_its_layers(
    base: Path, train_rows: list[Row]
) -> None:
    first, second = (build(str(base), COLUMNS, seed=seed).train(False) for seed in (3, 4))
    batch = _batch(base, train_rows[:7])
    with torch.no_grad():
        one, other = logits_of(first, batch), logits_of(second, batch)
    assert not torch.allclose(one, other)
    torch.testing.assert_close(TeacherAnswers([first, second], 7).of(batch), (one + other) / 2)
    logits, hidden = TeacherAnswers([first, second], 7).with_hidden(batch)
    torch.testing.assert_close(logits, (one + other) / 2)
    torch.testing.assert_close(hidden, TeacherAnswers([first], 7).with_hidden(batch)[1])


def test_every_teacher_but_the_first_is_asked_once_a_text(base: Path, train_rows: list[Row]) -> None:
    teachers = [build(str(base), COLUMNS, seed=seed).train(False) for seed in (3, 4)]
    asked: list[int] = []
    teachers[1].register_forward_hook(lambda *_: asked.append(1))
    answers, batch = TeacherAnswers(teachers, 7), _batch(base, train_rows[:7])
    for _ in range(3):
        answers.with_hidden(batch)
        answers.of(batch)
    assert len(asked) == 1


def test_a_run_is_not_resumed_with_another_teacher(
    base: Path, teacher: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    others = []
    for seed in (5, 6):
        others.append(tmp_path / f"run-{seed}" / "model")
        models.save(build(str(base), COLUMNS, seed=seed), load_tokenizer(base), COLUMNS, others[-1])
    config = DistilConfig(finetune=FinetuneConfig(train=QUICK, max_tokens=32, layers=(1, 3)))
    distil([teacher, others[0]], train_rows, {}, tmp_path / "run", config)
    with pytest.raises(UsageError, match="another configuration"):
        distil([teacher, others[1]], train_rows, {}, tmp_path / "run", config)


def test_teachers_that_answer_other_questions_are_refused(
    base: Path, teacher: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    columns = Columns({"review": ("negative", "neutral", "positive")})
    models.save(build(str(base), columns, seed=3), load_tokenizer(base), columns, tmp_path / "other")
    config = DistilConfig(finetune=FinetuneConfig(train=QUICK, max_tokens=32, layers=(1, 3)))
    with pytest.raises(UsageError, match="other labels"):
        distil([teacher, tmp_path / "other"], train_rows, {}, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_the_student_s_dropout_is_its_own(
    base: Path, train_rows: list[Row], tmp_path: Path, dropout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.save(
        build(str(base), COLUMNS, dropout=0.3, seed=3), load_tokenizer(base), COLUMNS, tmp_path / "dropping"
    )
    seen: list[tuple[set[float], float]] = []
    stock = distillation.finetune_model

    def watch(student: BertForSequenceClassification, *args: Any, **options: Any) -> Any:
        layers = student.bert.encoder.layer
        seen.append(({layer.get_submodule("output.dropout").p for layer in layers}, student.dropout.p))
        return stock(student, *args, **options)

    monkeypatch.setattr(distillation, "finetune_model", watch)
    finetune = FinetuneConfig(
        train=QUICK, max_tokens=32, layers=(1, 3), dropout=dropout, head_dropout=dropout / 2
    )
    config = DistilConfig(finetune=finetune)
    distil([tmp_path / "dropping"], train_rows[:20], {}, tmp_path / "run", config)
    assert seen == [({dropout}, dropout / 2)]
    assert models.load(tmp_path / "run")[0].config.hidden_dropout_prob == dropout


def test_comparing_hidden_states_brings_them_nearer(
    teacher: Path, train_rows: list[Row], base: Path, tmp_path: Path
) -> None:
    def distance(weight: float) -> float:
        config = DistilConfig(
            finetune=FinetuneConfig(train=QUICK, max_tokens=32, layers=(1, 3)), hidden_weight=weight
        )
        out = tmp_path / str(weight)
        distil([teacher], train_rows, {}, out, config)
        student, big = models.load(out / "model")[0], models.load(teacher)[0]
        batch = _batch(base, train_rows[:20])
        with torch.no_grad():
            said, goal = (
                one(batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=True)
                for one in (student.train(False), big.train(False))
            )
        return float((said.hidden_states[-1] - goal.hidden_states[-1]).square().mean())

    assert distance(2.0) < 0.8 * distance(0.0)


def test_trusted_labels_are_learned_against_the_teacher(
    base: Path, teacher: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    """The teacher is untrained and has the whole weight, so only a trusted source can teach anything."""
    rows = [*(replace(row, source="sure") for row in train_rows), Row("the book", None, source="other")]

    def taught(trusted: tuple[str, ...]) -> float:
        config = DistilConfig(
            finetune=FinetuneConfig(train=replace(QUICK, epochs=20), max_tokens=32, layers=(0, 1, 2, 3)),
            teacher_share=1.0,
            trusted=trusted,
            hidden_weight=0.0,
        )
        out = tmp_path / f"run-{len(trusted)}"
        distil([teacher], rows, {}, out, config)
        with torch.no_grad():
            said = logits_of(models.load(out / "model")[0].train(False), _batch(base, train_rows))
        gold = torch.tensor([row.label == "positive" for row in train_rows])
        return float(((said[:, 1] > said[:, 0]) == gold).float().mean())

    with pytest.raises(UsageError, match="no labelled text comes from the trusted source `other`"):
        taught(("other",))
    assert taught(()) < 0.8
    assert taught(("sure",)) > 0.95


def test_a_label_that_the_teacher_does_not_know_is_learned_beside_what_it_says(
    base: Path, teacher: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    """Neutral texts hold none of the strong words; the untrained teacher has the whole weight on all others."""
    neutral = [
        Row(f"the {word} is {'the ' * number}", "neutral", source="sure")
        for word in ("book", "phone", "hotel")
        for number in range(20)
    ]
    config = DistilConfig(
        finetune=FinetuneConfig(train=replace(QUICK, epochs=20), max_tokens=32, layers=(0, 1, 2, 3)),
        teacher_share=1.0,
        trusted=("sure",),
        hidden_weight=0.0,
    )
    polar = [replace(row, source="sure") if number % 4 == 0 else row for number, row in enumerate(train_rows)]
    distil(
        [teacher],
        [*polar, *neutral],
        {"polar": train_rows[:20], "mixed": [*train_rows[:5], *neutral[:5]]},
        tmp_path / "run",
        config,
    )
    student, tokenizer, columns = models.load(tmp_path / "run" / "model")
    assert columns.labels == {"review": ("negative", "neutral", "positive")}
    said = logits_on(student, tokenizer, columns, [*neutral, *train_rows], max_tokens=32).argmax(-1)
    assert (said[: len(neutral)] == 1).mean() > 0.9
    assert (said[len(neutral) :] == 1).mean() < 0.1


def test_the_divergence_is_of_the_choice_among_what_the_teacher_knows(
    base: Path, train_rows: list[Row]
) -> None:
    three = Columns({"review": ("negative", "neutral", "positive")})
    rows = [replace(row, label=None) for row in train_rows[:6]]
    batch = collate(encode(rows, load_tokenizer(base), three, max_tokens=32), three, pad_id=1)
    torch.manual_seed(0)
    student, teacher = torch.randn(6, 3), torch.randn(6, 2)

    def loss(student: torch.Tensor) -> torch.Tensor:
        return distillation_loss(
            student, teacher, batch, taught=[0, 2], temperature=2.0, teacher_shares=torch.ones(6)
        )

    assert loss(student) > 0
    torch.testing.assert_close(loss(student), loss(student + torch.tensor([0.0, 5.0, 0.0])))
    agreeing = torch.stack([teacher[:, 0], student[:, 1], teacher[:, 1]], dim=1)
    torch.testing.assert_close(loss(agreeing), torch.tensor(0.0))


def _batch(base: Path, rows: list[Row]) -> Batch:
    return collate(encode(rows, load_tokenizer(base), COLUMNS, max_tokens=32), COLUMNS, pad_id=1)
