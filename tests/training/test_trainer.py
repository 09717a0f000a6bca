import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertForSequenceClassification, PreTrainedModel

from training import model as models
from training.batches import Batch, collate, encode
from training.data import Row
from training.finetune import FinetuneConfig, finetune
from training.freezing import freeze
from training.hooks import StepContext
from training.model import Columns
from training.objective import cross_entropy
from training.optim import depth_of, parameter_groups, schedule_factor
from training.runs import read_json
from training.train_config import TrainConfig
from training.trainer import Trainer, run_length
from worker.errors import UsageError

REVIEW = Columns({"review": ("negative", "positive")})
QUICK = TrainConfig(epochs=2, lr=2e-3, tokens_per_batch=256, precision="float32", average_decay=0.9, seed=3)


def _trainer(base: Path, rows: list[Row], out: Path, config: TrainConfig = QUICK) -> Trainer:
    model = models.build(str(base), REVIEW, dropout=0.1, seed=config.seed)
    examples = encode(rows, models.load_tokenizer(base), REVIEW, max_tokens=32)
    return Trainer(model, REVIEW, examples, cross_entropy(), config, out, pad_id=1)


def _weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in model.parameters()])


def test_a_finetuned_model_beats_the_majority(
    base: Path, train_rows: list[Row], other_rows: list[Row], tmp_path: Path
) -> None:
    config = FinetuneConfig(train=replace(QUICK, epochs=14, evaluate_every_steps=40), max_tokens=32)
    state = finetune(str(base), train_rows, {"other": other_rows}, tmp_path, config)
    report = read_json(tmp_path / "before_after.json")
    assert report["after"]["accuracy"] > 0.9 > report["before"]["accuracy"]
    assert state.best_metric == pytest.approx(report["after"]["accuracy"])
    assert read_json(tmp_path / "run.json")["options"]["config"]["train"]["seed"] == 3
    assert list((tmp_path / "tensorboard").iterdir())


def test_the_same_seed_gives_the_same_weights(base: Path, train_rows: list[Row], tmp_path: Path) -> None:
    results = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        trainer = _trainer(base, train_rows, tmp_path / name, replace(QUICK, seed=seed))
        trainer.run()
        results.append(_weights(trainer.model))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    whole = _trainer(base, train_rows, tmp_path / "whole")
    whole.run()
    for steps in (5, 9):
        _trainer(base, train_rows, tmp_path / "parts").run(stop_after_steps=steps)
    rest = _trainer(base, train_rows, tmp_path / "parts")
    state = rest.run()
    assert state.step == whole.state.step
    assert torch.equal(_weights(whole.model), _weights(rest.model))


def test_a_folder_of_another_run_is_refused(base: Path, train_rows: list[Row], tmp_path: Path) -> None:
    _trainer(base, train_rows, tmp_path).run(stop_after_steps=1)
    with pytest.raises(UsageError, match="another configuration"):
        _trainer(base, train_rows, tmp_path, replace(QUICK, lr=1e-3)).run()


def test_accumulated_batches_give_the_gradient_of_their_mean(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    config = replace(
        QUICK, accumulate=2, optimiser="sgd", warmup_share=0.0, average_decay=0.0, weight_decay=0.0
    )
    trainer = _trainer(base, train_rows, tmp_path, replace(config, clip_norm=1e9))
    trainer.model.train(False)
    before = _weights(trainer.model)
    chosen = trainer._epoch_batches(0)[:2]
    trainer._step(chosen)
    together = _weights(trainer.model) - before
    steps = []
    for batch in chosen:
        single = _trainer(base, train_rows, tmp_path, replace(config, clip_norm=1e9))
        single.model.train(False)
        single._step([batch])
        steps.append(_weights(single.model) - before)
    assert torch.allclose(together, (steps[0] + steps[1]) / 2, atol=1e-5)


def test_training_stops_when_nothing_gets_better(
    base: Path, train_rows: list[Row], other_rows: list[Row], tmp_path: Path
) -> None:
    train = replace(QUICK, lr=0.0, epochs=20, evaluate_every_steps=2, patience=3, average_decay=0.0)
    state = finetune(
        str(base), train_rows, {"other": other_rows}, tmp_path, FinetuneConfig(train=train, max_tokens=32)
    )
    assert state.best_step == 2
    assert state.step == 8


def test_a_short_run_is_evaluated_often_enough_to_stop(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    examples = encode(train_rows, models.load_tokenizer(base), REVIEW, max_tokens=32)
    an_epoch = run_length(examples, replace(QUICK, epochs=1))

    def trainer(patience: int) -> Trainer:
        config = replace(QUICK, lr=0.0, epochs=66 / an_epoch, patience=patience, average_decay=0.0)
        return Trainer(
            models.build(str(base), REVIEW), REVIEW, examples, cross_entropy(), config, tmp_path / "run", pad_id=1,
            validation=lambda *_: {"accuracy": 0.5},
        )  # fmt: skip

    run = trainer(2)
    assert run.total_steps in (66, 67)  # as the division rounds
    assert run.run().step == 18
    with pytest.raises(UsageError, match="--patience 10 cannot stop this run") as error:
        trainer(10)
    assert "--evaluate-every" in str(error.value.hint)


def test_biases_and_norms_do_not_decay_and_deeper_layers_learn_slower(base: Path) -> None:
    model = models.build(str(base), REVIEW)
    groups = parameter_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.5, layers=4)
    for group in groups:
        assert {parameter.ndim > 1 for parameter in group["params"]} == {group["weight_decay"] > 0}
    rates = {group["lr"] for group in groups}
    assert rates == {0.5**depth for depth in range(6)}
    assert depth_of("bert.encoder.layer.3.output.dense.weight", 4) == 1
    assert depth_of("bert.embeddings.word_embeddings.weight", 4) == 5
    assert depth_of("classifier.weight", 4) == 0


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_rate_warms_up_and_ends_at_nothing(schedule: str) -> None:
    factor = schedule_factor("linear" if schedule == "linear" else "cosine", 0.1)
    assert factor(0.0) == 0.0
    assert factor(0.1) == pytest.approx(1.0)
    assert factor(0.55) == pytest.approx(0.5)
    assert factor(1.0) == pytest.approx(0.0)


@pytest.mark.parametrize("warmup_share", [0.0, 0.06, 1.0])
def test_a_run_of_one_step_learns(
    base: Path, train_rows: list[Row], tmp_path: Path, warmup_share: float
) -> None:
    config = replace(QUICK, epochs=1, tokens_per_batch=4_096, warmup_share=warmup_share, average_decay=0.0)
    trainer = _trainer(base, train_rows[:20], tmp_path, config)
    before = _weights(trainer.model)
    assert trainer.run().step == 1
    assert not torch.equal(before, _weights(trainer.model))


@pytest.mark.parametrize(("how", "top", "frozen"), [("head", 0, 4), ("top", 1, 3)])
def test_frozen_layers_keep_their_weights(
    base: Path, train_rows: list[Row], tmp_path: Path, how: str, top: int, frozen: int
) -> None:
    train = replace(QUICK, epochs=0.5, average_decay=0.0)
    config = FinetuneConfig(
        train=train, max_tokens=32, freezing="head" if how == "head" else "top", top_layers=top
    )
    finetune(str(base), train_rows, {}, tmp_path, config)
    before = models.build(str(base), REVIEW, seed=train.seed)
    after, _, _ = models.load(tmp_path / "model")

    def same(left: BertForSequenceClassification, right: BertForSequenceClassification, layer: int) -> bool:
        return torch.equal(
            _weights(left.bert.encoder.layer[layer]), _weights(right.bert.encoder.layer[layer])
        )

    assert [same(before, after, layer) for layer in range(4)] == [layer < frozen for layer in range(4)]
    assert not torch.equal(before.classifier.weight, after.classifier.weight)


def test_every_text_of_an_epoch_is_trained_on_and_the_last_step_may_be_smaller(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    seen: list[int] = []

    def recording(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        seen.extend(batch.index.tolist())
        return cross_entropy()(model, batch)

    trainer = _trainer(base, train_rows, tmp_path, replace(QUICK, epochs=1, accumulate=4))
    batches = len(trainer._epoch_batches(0))
    assert batches % 4
    trainer.objective = recording
    state = trainer.run()
    assert state.step == trainer.total_steps == batches // 4 + 1
    assert sorted(seen) == list(range(len(train_rows)))


def test_an_epoch_with_fewer_batches_than_a_step_accumulates_ends(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    trainer = _trainer(base, train_rows[:10], tmp_path, replace(QUICK, accumulate=64))
    before = _weights(trainer.model)
    assert trainer.run().step == 2
    assert not torch.equal(before, _weights(trainer.model))


def test_a_hook_sees_the_gradient_of_its_own_batch_and_the_step_uses_their_sum(
    base: Path, train_rows: list[Row], tmp_path: Path
) -> None:
    seen: list[torch.Tensor] = []

    def look(context: StepContext) -> None:
        seen.append(_gradient(context.model).clone())

    config = replace(QUICK, accumulate=2, average_decay=0.0, clip_norm=1e9)
    trainer = _trainer(base, train_rows, tmp_path, config)
    trainer.model.train(False)
    chosen = trainer._epoch_batches(0)[:2]
    expected = []
    for indices in chosen:
        trainer.model.zero_grad()
        batch = collate([trainer.examples[i] for i in indices], REVIEW, pad_id=1)
        (cross_entropy()(trainer.model, batch) / 2).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        expected.append(_gradient(trainer.model).clone())
    trainer.after_backward = [look]
    trainer._step(chosen)
    for found, right in zip(seen, expected, strict=True):
        torch.testing.assert_close(found, right)
    torch.testing.assert_close(_gradient(trainer.model), expected[0] + expected[1])


def _gradient(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.grad.flatten() for value in model.parameters() if value.grad is not None])


def test_layers_thaw_over_the_first_half_of_a_run(base: Path, train_rows: list[Row], tmp_path: Path) -> None:
    trainer = _trainer(base, train_rows, tmp_path, replace(QUICK, epochs=4, average_decay=0.0))
    assert isinstance(trainer.model, BertForSequenceClassification)
    trainer.after_backward = freeze(trainer.model, "gradual")
    trainable: list[int] = []
    step = trainer._step

    def counting(chosen: list[list[int]]) -> float:
        loss = step(chosen)
        names = [name for name, value in trainer.model.named_parameters() if value.grad is not None]
        trainable.append(len({depth_of(name, 4) for name in names}))
        return loss

    trainer._step = counting  # type: ignore[method-assign,assignment]  # counts the calls of the real one
    trainer.run()
    assert trainable[0] == 1
    assert trainable == sorted(trainable)
    half = len(trainable) // 2
    assert trainable[half - 2] < 6 == trainable[half + 1]
    assert set(trainable) == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize(
    "asked",
    [
        {"train": replace(QUICK, patience=2)},
        {"train": replace(QUICK, evaluate_every_steps=5)},
        {"metric": "macro_f1"},
    ],
)
def test_what_looks_at_validation_needs_some(
    base: Path, train_rows: list[Row], tmp_path: Path, asked: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="validation"):
        finetune(str(base), train_rows, {}, tmp_path / "run", FinetuneConfig(max_tokens=32, **asked))
    assert not (tmp_path / "run").exists()


TWO_PROCESSES = """
import os, time, torch
from dataclasses import replace
from pathlib import Path
from tests.training.rows import make_rows
from tests.training.test_trainer import _trainer, _weights, QUICK
from worker.errors import UsageError
torch.set_num_threads(1)
base, out, rank = Path({base!r}), Path({out!r}), os.environ["RANK"]
rows = make_rows(240, seed=1)
report = dict()

def run(name, config=QUICK, stop=None, hooks=()):
    trainer = _trainer(base, rows, out / name, config)
    trainer.after_backward = hooks
    state = trainer.run(stop_after_steps=stop)
    return dict(step=state.step, weights=_weights(trainer.model), start=trainer)

report["whole"] = run("whole")
run("parts", stop=4)
report["files"] = sorted(path.name for path in (out / "parts").glob("checkpoint*"))
report["parts"] = run("parts")

def frozen(context):
    context.model.get_input_embeddings().weight.grad = None

before = _trainer(base, rows, out / "new").model.get_input_embeddings().weight.detach().clone()
kept = run("frozen", replace(QUICK, warmup_share=0.0, average_decay=0.0), 3, [frozen])["start"]
report["frozen"] = torch.equal(before, kept.model.get_input_embeddings().weight)

# Rank 1's clock runs thirty times as fast: alone it would end, and save, long before rank 0.
true = time.monotonic
if rank == "1":
    time.monotonic = lambda: 30 * true()
report["clock"] = run("clock", replace(QUICK, epochs=1000, budget_minutes=0.02, checkpoint_every_s=0.2))
time.monotonic = true

try:
    _trainer(base, rows[:1], out / "few")
except UsageError as error:
    report["few"] = str(error)
for value in report.values():
    if isinstance(value, dict):
        value.pop("start")
torch.save(report, out / f"report-{{rank}}.pt")
"""


def test_two_processes_go_on_together_stop_together_and_hold_the_same_weights(
    base: Path, tmp_path: Path
) -> None:
    script = tmp_path / "run.py"
    (tmp_path / "out").mkdir()
    script.write_text(TWO_PROCESSES.format(base=str(base), out=str(tmp_path / "out")))
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)],
        check=True,
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        timeout=280,
        capture_output=True,
    )
    left, right = (torch.load(tmp_path / "out" / f"report-{rank}.pt", weights_only=True) for rank in (0, 1))
    # By the clock a busy machine makes one step, and an idle one hundreds.
    for name, least in (("whole", 5), ("parts", 5), ("clock", 1)):
        assert left[name]["step"] == right[name]["step"] >= least
        assert torch.equal(left[name]["weights"], right[name]["weights"])
    assert left["whole"]["step"] == left["parts"]["step"]
    assert torch.equal(left["whole"]["weights"], left["parts"]["weights"])
    assert left["files"] == ["checkpoint.pt"]
    assert left["frozen"]
    assert "batches cannot feed 2 processes" in left["few"]
