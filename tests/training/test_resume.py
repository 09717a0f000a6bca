"""What a run's folder is good for after a kill: going on exactly, or being refused with nothing in it changed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training import checkpoint, trainer
from training import model as models
from training.batches import encode
from training.data import Row
from training.distil import DistilConfig, TeacherAnswers, distil
from training.efficient.allocation import RankAllocation
from training.efficient.methods import EfficientConfig, wrap
from training.finetune import FinetuneConfig, finetune
from training.model import Columns
from training.objective import cross_entropy
from training.options import RecipeConfig
from training.runs import read_json
from training.train_config import TrainConfig
from training.trainer import Trainer, run_length
from worker.errors import UsageError

REVIEW = Columns({"review": ("negative", "positive")})
QUICK = TrainConfig(epochs=2, lr=2e-3, tokens_per_batch=256, precision="float32", average_decay=0.9, seed=3)


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Make the next runs stop after so many steps, or not at all, with a checkpoint at the stop."""
    whole = Trainer.run

    def after(steps: int | None) -> None:
        def run(self: Trainer) -> trainer.State:
            state = whole(self, stop_after_steps=steps)
            if steps is not None:
                raise KeyboardInterrupt
            return state

        monkeypatch.setattr(Trainer, "run", run)

    return after


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("what", ["dropout", "recipe", "label", "text", "validation", "base"])
def test_another_run_is_refused_before_anything_is_overwritten(
    base: Path,
    train_rows: list[Row],
    other_rows: list[Row],
    tmp_path: Path,
    kill: Callable[[int | None], None],
    what: str,
) -> None:
    config = FinetuneConfig(train=QUICK, max_tokens=32)
    kill(2)
    with pytest.raises(KeyboardInterrupt):
        finetune(str(base), train_rows, {"other": other_rows}, tmp_path / "run", config)
    kept = _files(tmp_path / "run")
    rows, held_out, start = list(train_rows), list(other_rows), base
    if what == "dropout":
        config = replace(config, dropout=0.2)
    elif what == "recipe":
        config = replace(config, recipe=RecipeConfig(label_smoothing=0.1))
    elif what == "label":
        first = rows[0]
        rows[0] = replace(first, label="negative" if first.label == "positive" else "positive")
    elif what == "text":
        rows[0], rows[1] = rows[1], rows[0]
    elif what == "validation":
        held_out = held_out[:-1]
    else:
        start = tmp_path / base.name
        encoder = models.build(str(base), REVIEW).bert
        with torch.no_grad():
            encoder.embeddings.word_embeddings.weight[5, 0] += 1
        encoder.save_pretrained(start)
        (start / "tokenizer.json").write_bytes((base / "tokenizer.json").read_bytes())
    expected = {"label": "other data", "text": "other data", "base": "another base"}
    with pytest.raises(UsageError, match=expected.get(what, "another configuration")):
        finetune(str(start), rows, {"other": held_out}, tmp_path / "run", config)
    assert _files(tmp_path / "run") == kept


def test_a_run_of_two_processes_is_not_resumed_by_one(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    examples = encode(train_rows[:5], models.load_tokenizer(base), REVIEW, max_tokens=32)
    model = models.build(str(base), REVIEW)
    one, two = (checkpoint.identity({}, examples, model, processes=count) for count in (1, 2))
    path = tmp_path / "checkpoint.pt"
    checkpoint.save({"identity": two}, path)
    with pytest.raises(UsageError, match=r"holds a run with another number of processes$"):
        checkpoint.load(path, one)
    assert checkpoint.load(path, two) == {"identity": two}


def test_a_resumed_run_keeps_its_precision_and_tells_it(
    base: Path,
    train_rows: list[Row],
    tmp_path: Path,
    kill: Callable[[int | None], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = FinetuneConfig(train=replace(QUICK, precision="auto"), max_tokens=32)
    monkeypatch.setattr(trainer, "fastest_precision", lambda: "bfloat16")
    kill(2)
    with pytest.raises(KeyboardInterrupt):
        finetune(str(base), train_rows, {}, tmp_path, config)
    monkeypatch.setattr(trainer, "fastest_precision", lambda: "float32")
    kill(None)
    finetune(str(base), train_rows, {}, tmp_path, config)
    assert read_json(tmp_path / "cost.json")["precision"] == "bfloat16"


def test_measuring_the_precision_draws_no_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trainer.fastest_precision()
    assert torch.equal(torch.rand(3), expected)


def test_no_step_is_told_twice_after_a_kill(
    base: Path,
    train_rows: list[Row],
    other_rows: list[Row],
    tmp_path: Path,
    kill: Callable[[int | None], None],
) -> None:
    config = FinetuneConfig(train=replace(QUICK, evaluate_every_steps=3), max_tokens=32)
    kill(4)
    with pytest.raises(KeyboardInterrupt):
        finetune(str(base), train_rows, {"other": other_rows}, tmp_path, config)
    before = read_json(tmp_path / "before_after.json")["before"]
    # Told after the last checkpoint, then killed.
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6}\n{"step')
    kill(None)
    finetune(str(base), train_rows, {"other": other_rows}, tmp_path, config)
    told = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for sort in ("accuracy", "loss"):
        steps = [record["step"] for record in told if sort in record]
        assert steps == sorted(set(steps))
        assert steps[:2] == [3, 6]
    assert read_json(tmp_path / "before_after.json")["before"] == before


def test_what_a_killed_run_left_without_a_checkpoint_is_not_taken_over(
    base: Path, train_rows: list[Row], other_rows: list[Row], tmp_path: Path
) -> None:
    (tmp_path / "before_after.json").write_text('{"before": {"accuracy": 2.0}}')
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    finetune(
        str(base), train_rows, {"other": other_rows}, tmp_path, FinetuneConfig(train=QUICK, max_tokens=32)
    )
    assert read_json(tmp_path / "before_after.json")["before"]["accuracy"] <= 1
    assert '"step": 1,' not in (tmp_path / "metrics.jsonl").read_text()


def test_a_resumed_student_ends_as_one_that_was_never_stopped(
    base: Path,
    train_rows: list[Row],
    tmp_path: Path,
    kill: Callable[[int | None], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teacher = tmp_path / "teacher"
    models.save(models.build(str(base), REVIEW, seed=3), models.load_tokenizer(base), REVIEW, teacher)
    config = DistilConfig(
        finetune=FinetuneConfig(train=replace(QUICK, epochs=3), max_tokens=32, layers=(1, 3)), hidden_epochs=1
    )
    kill(None)
    state = distil([teacher], train_rows, {}, tmp_path / "whole", config)
    kill(2 * state.step // 3)
    with pytest.raises(KeyboardInterrupt):
        distil([teacher], train_rows, {}, tmp_path / "parts", config)
    kill(None)

    def ask(*_: object) -> None:
        raise AssertionError("every text's answer was known")

    monkeypatch.setattr(TeacherAnswers, "_keep", ask)
    distil([teacher], train_rows, {}, tmp_path / "parts", config)
    whole, parts = (models.load(tmp_path / name / "model")[0].state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def _adalora(base: Path, rows: list[Row], out: Path, config: TrainConfig) -> Trainer:
    examples = encode(rows, models.load_tokenizer(base), REVIEW, max_tokens=32)
    sizes = EfficientConfig(method="adalora", rank=4, total_steps=run_length(examples, config))
    wrapped, hooks = wrap(models.build(str(base), REVIEW, head_dropout=0.0, seed=3), sizes)
    return Trainer(wrapped, REVIEW, examples, cross_entropy(), config, out, pad_id=1, after_step=hooks)


def _pruned(run: Trainer) -> tuple[int, int]:
    """How many ranks the pattern prunes, and how many of them are not zero."""
    hook = run.after_step[0]
    assert isinstance(hook, RankAllocation)
    pattern = hook.state_dict()["pattern"]
    values = {name.removeprefix("base_model.model."): value for name, value in run.trainable.items()}
    pruned = [
        float(value)
        for name, kept in pattern.items()
        for value, keep in zip(values[name].detach().flatten(), kept, strict=True)
        if not keep
    ]
    return len(pruned), sum(value != 0 for value in pruned)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_ranks_that_adalora_prunes_are_zero_at_the_end(
    base: Path, train_rows: list[Row], tmp_path: Path, accumulate: int, average_decay: float
) -> None:
    config = replace(QUICK, epochs=5, lr=5e-3, average_decay=average_decay, accumulate=accumulate)
    run = _adalora(base, train_rows, tmp_path, config)
    run.run()
    # 4 layers x 4 matrices, each from rank 6 to rank 4.
    assert _pruned(run) == (32, 0)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_resumed_adalora_run_ends_as_one_that_was_never_stopped(
    base: Path, train_rows: list[Row], tmp_path: Path, share: float
) -> None:
    config = replace(QUICK, epochs=4, lr=5e-3)
    whole = _adalora(base, train_rows, tmp_path / "whole", config)
    whole.run()
    _adalora(base, train_rows, tmp_path / "parts", config).run(
        stop_after_steps=max(1, int(share * whole.total_steps))
    )
    rest = _adalora(base, train_rows, tmp_path / "parts", config)
    rest.run()
    assert all(torch.equal(value, rest.trainable[name]) for name, value in whole.trainable.items())
    assert _pruned(whole) == _pruned(rest)


def test_adalora_pays_for_vectors_that_are_not_orthogonal(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    run = _adalora(base, train_rows, tmp_path, replace(QUICK, epochs=8, lr=5e-3, average_decay=0.0))
    before = float(run.after_step[0].penalty().detach())
    run.run()
    assert float(run.after_step[0].penalty().detach()) < 0.9 * before


def test_the_best_weights_come_with_the_pattern_of_their_step(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    run = _adalora(
        base,
        train_rows,
        tmp_path,
        replace(QUICK, epochs=8, lr=5e-3, average_decay=0.0),
    )
    at, seen = 0.5 * run.total_steps, []

    def best_in_the_middle(_model: object, _bfloat16: bool) -> dict[str, float]:
        seen.append(run.state.step)
        return {"accuracy": -abs(run.state.step - at)}

    run.validation = best_in_the_middle
    state = run.run()
    assert abs(state.best_step - at) < 5
    pruned, left = _pruned(run)
    assert 0 < pruned < 32
    assert left == 0


def test_a_kill_while_a_checkpoint_is_written_leaves_the_previous_one(tmp_path: Path) -> None:
    checkpoint.save({"step": 1}, tmp_path / "checkpoint.pt")

    class Unwritable:
        def __reduce__(self) -> str:
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011  # any of them
        checkpoint.save({"step": Unwritable()}, tmp_path / "checkpoint.pt")
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True) == {"step": 1}


def test_a_run_ends_with_the_weights_that_it_calls_the_best_though_better_ones_came_after_its_checkpoint(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    config = replace(QUICK, budget_minutes=60, evaluate_every_steps=3, average_decay=0.0)
    seen: dict[int, dict[str, torch.Tensor]] = {}

    def resumed() -> Trainer:
        examples = encode(train_rows, models.load_tokenizer(base), REVIEW, max_tokens=32)
        model = models.build(str(base), REVIEW, seed=3)

        def later_is_better(_model: object, _bfloat16: bool) -> dict[str, float]:
            step = one.state.step
            if step == 9:
                raise KeyboardInterrupt  # before there is another checkpoint
            seen[step] = {name: value.detach().clone() for name, value in one.trainable.items()}
            return {"accuracy": 0.0 if step == 4 else float(step)}

        one = Trainer(
            model, REVIEW, examples, cross_entropy(), config, tmp_path, pad_id=1, validation=later_is_better
        )
        return one

    resumed().run(stop_after_steps=4)
    with pytest.raises(KeyboardInterrupt):
        resumed().run()
    late = resumed()
    late.state.elapsed_s = 3_600.0  # the time is up
    assert late.run().best_step == 3
    assert all(torch.equal(value, seen[3][name]) for name, value in late.trainable.items())
    assert seen.keys() == {3, 4, 6}
