"""The training loop: one file to read from top to bottom.

It knows nothing of recipes: they bring an objective, and steps that run after backward (adversarial perturbation, rank
allocation). A run that is killed goes on from its last checkpoint exactly as if it had not been: model, average, optimiser,
random state and position are all stored. Under ``torchrun`` every process takes its share of the batches and gradients
are averaged.
"""

import json
import math
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from training.batches import Batch, Example, collate, plan
from training.model import Columns
from training.objective import Objective
from training.optim import Optimiser, Schedule, make_optimiser, parameter_groups, schedule_factor
from worker.errors import UsageError

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides how a run goes; written beside its weights."""

    epochs: float = 2.0
    budget_minutes: float | None = None
    """With a budget, the schedule also advances with the clock, so that a run on a busy machine still ends decayed."""
    lr: float = 1e-4
    optimiser: Optimiser = "adamw"
    schedule: Schedule = "linear"
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    clip_norm: float = 1.0
    tokens_per_batch: int = 2048
    accumulate: int = 1
    precision: Precision = "auto"
    average_decay: float = 0.0
    """Decay a step of an exponential average of the weights, which then is what is evaluated and kept. 0 turns it off."""
    seed: int = 0
    evaluate_every_steps: int = 500
    patience: int = 0
    """Stop after this many evaluations without a better metric. 0 never stops early."""
    checkpoint_every_s: float = 120.0


@dataclass
class State:
    """Where a run stands."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    best_metric: float = -math.inf
    best_step: int = 0
    stale_evaluations: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class StepContext:
    """What a hook sees after backward and before the optimiser's step."""

    model: PreTrainedModel
    batch: Batch
    objective: Objective
    step: int
    bfloat16: bool = False
    share: float = 1.0
    """Share of this batch in the step: 1 / accumulated batches."""

    def backward(self) -> None:
        """Forward and backward of the batch once more, adding to the gradients: what perturbing hooks need."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = self.objective(self.model, self.batch) * self.share
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped


Hook = Callable[[StepContext], None]
Validation = Callable[[PreTrainedModel], dict[str, float]]


def fastest_precision() -> Literal["float32", "bfloat16"]:
    """bf16 where a matrix product of this machine is at least 1.5 times as fast in it. Takes about 0.1 s."""
    left, right = torch.randn(1024, 384), torch.randn(384, 1536)

    def seconds(dtype: torch.dtype) -> float:
        a, b = left.to(dtype), right.to(dtype)
        a @ b
        start = time.perf_counter()
        for _ in range(5):
            a @ b
        return time.perf_counter() - start

    return "bfloat16" if seconds(torch.float32) > 1.5 * seconds(torch.bfloat16) else "float32"


def processes() -> int:
    """How many processes train together: what torchrun says, else 1."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def run_length(examples: Sequence[Example], config: TrainConfig) -> int:
    """Steps of the optimiser in a whole run."""
    batches = len(_share_of_epoch(examples, config, 0, rank=0, world=processes()))
    return max(1, math.ceil(batches * config.epochs / config.accumulate))


def _share_of_epoch(
    examples: Sequence[Example], config: TrainConfig, epoch: int, *, rank: int, world: int
) -> list[list[int]]:
    """The batches of one process in one epoch; every process has as many."""
    lengths = [len(example.ids) for example in examples]
    batches = plan(lengths, tokens=config.tokens_per_batch, seed=config.seed, epoch=epoch)
    usable = len(batches) - len(batches) % world if len(batches) >= world else len(batches)
    return batches[:usable][rank::world]


class Trainer:
    """Runs one training and keeps its folder.

    The folder holds ``config.json`` (written by the caller), ``checkpoint.pt``, ``best.pt``, ``metrics.jsonl`` and
    TensorBoard's files. Not for use from several threads.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        columns: Columns,
        examples: Sequence[Example],
        objective: Objective,
        config: TrainConfig,
        folder: Path,
        *,
        pad_id: int,
        validation: Validation | None = None,
        metric: str = "accuracy",
        after_backward: Sequence[Hook] = (),
    ) -> None:
        if not examples:
            raise UsageError("there is nothing to train on")
        self.model, self.columns, self.examples = model, columns, examples
        self.objective, self.config, self.folder, self.pad_id = objective, config, folder, pad_id
        self.validation, self.metric, self.after_backward = validation, metric, after_backward
        self.rank, self.world = int(os.environ.get("RANK", "0")), processes()
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("gloo")
        self.precision = fastest_precision() if config.precision == "auto" else config.precision
        torch.manual_seed(config.seed + self.rank)
        random.seed(config.seed + self.rank)
        groups = parameter_groups(
            model,
            lr=config.lr,
            weight_decay=config.weight_decay,
            layer_decay=config.layer_decay,
            layers=int(model.config.num_hidden_layers),
        )
        self.optimiser = make_optimiser(config.optimiser, groups)
        self.factor = schedule_factor(config.schedule, config.warmup_share)
        self.state = State()
        self.trainable = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self.average = (
            {n: v.detach().clone() for n, v in self.trainable.items()} if config.average_decay else None
        )
        self.total_steps = run_length(examples, config)

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self, *, stop_after_steps: int | None = None) -> State:
        """Train to the end, or for ``stop_after_steps`` more steps (a checkpoint is left then, as after a kill).

        Leaves the best weights by the validation metric (the last ones without validation) in ``self.model``.
        """
        self._resume()
        self.folder.mkdir(parents=True, exist_ok=True)
        board = self._board()
        last_save = last_report = segment_start = time.monotonic()
        elapsed_before = self.state.elapsed_s
        stop_at = None if stop_after_steps is None else self.state.step + stop_after_steps
        running_loss, running_count = 0.0, 0
        self.model.train()
        while not self._finished():
            batches = self._epoch_batches(self.state.epoch)
            while self.state.batch + self.config.accumulate <= len(batches) and not self._finished():
                chosen = batches[self.state.batch : self.state.batch + self.config.accumulate]
                lr_factor = self.factor(self.progress())
                for group in self.optimiser.param_groups:
                    group["lr"] = group["full_lr"] * lr_factor
                loss = self._step(chosen)
                running_loss, running_count = running_loss + loss, running_count + 1
                self.state.batch += self.config.accumulate
                self.state.step += 1
                now = time.monotonic()
                self.state.elapsed_s = elapsed_before + now - segment_start
                if now - last_report > 10.0:
                    self._report(running_loss / running_count, lr_factor)
                    board.add_scalar("train/loss", running_loss / running_count, self.state.step)
                    board.add_scalar("train/lr", self.config.lr * lr_factor, self.state.step)
                    running_loss, running_count, last_report = 0.0, 0, now
                if self.validation and self.state.step % self.config.evaluate_every_steps == 0:
                    self._evaluate(board)
                if stop_at is not None and self.state.step >= stop_at:
                    self._save()
                    return self.state
                if now - last_save > self.config.checkpoint_every_s:
                    self._save()
                    last_save = now
            if not self._finished():
                self.state.epoch, self.state.batch = self.state.epoch + 1, 0
        if self.validation and (not self.state.history or self.state.history[-1]["step"] != self.state.step):
            self._evaluate(board)
        self._save()
        board.close()
        self._restore_best()
        return self.state

    def progress(self) -> float:
        """How far the run is, 0 to 1: by steps, or by the clock where that is further."""
        by_steps = self.state.step / self.total_steps
        if self.config.budget_minutes is None:
            return by_steps
        return max(by_steps, self.state.elapsed_s / (60.0 * self.config.budget_minutes))

    def _step(self, chosen: Sequence[Sequence[int]]) -> float:
        """Forward and backward over the accumulated batches, hooks, clip, one optimiser step. Returns the mean loss."""
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for indices in chosen:
            batch = collate(
                [self.examples[i] for i in indices],
                self.columns,
                pad_id=self.pad_id,
                epoch=self.state.epoch,
            )
            with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
                loss = self.objective(self.model, batch) / len(chosen)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            total += float(loss.detach())
            for hook in self.after_backward:
                hook(
                    StepContext(
                        self.model,
                        batch,
                        self.objective,
                        self.state.step,
                        self.precision == "bfloat16",
                        1 / len(chosen),
                    )
                )
        if not math.isfinite(total):
            raise UsageError(f"the loss is {total} at step {self.state.step}", hint="lower --lr")
        if self.world > 1:
            for parameter in self.trainable.values():
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.world
        torch.nn.utils.clip_grad_norm_(self.trainable.values(), self.config.clip_norm)
        self.optimiser.step()
        if self.average is not None:
            # A young average follows quickly, so that it does not remember the untrained head.
            decay = min(self.config.average_decay, (1 + self.state.step) / (10 + self.state.step))
            names = list(self.average)
            torch._foreach_lerp_(  # the fused form; 200 single lerps cost a tenth of a step
                [self.average[n] for n in names], [self.trainable[n].detach() for n in names], 1 - decay
            )
        return total

    # -- batches -----------------------------------------------------------------------------------------------------

    def _epoch_batches(self, epoch: int) -> list[list[int]]:
        return _share_of_epoch(self.examples, self.config, epoch, rank=self.rank, world=self.world)

    def _finished(self) -> bool:
        stale = self.config.patience and self.state.stale_evaluations >= self.config.patience
        return self.progress() >= 1.0 or bool(stale)

    # -- evaluation and keeping --------------------------------------------------------------------------------------

    def _evaluate(self, board: Any) -> None:
        if self.validation is None:
            return
        live = self._swap_in_average()
        metrics = self.validation(self.model)
        if metrics[self.metric] > self.state.best_metric:
            self.state.best_metric, self.state.best_step = metrics[self.metric], self.state.step
            self.state.stale_evaluations = 0
            if self.rank == 0:
                _atomic_save(
                    {n: v.detach().clone() for n, v in self.trainable.items()}, self.folder / "best.pt"
                )
        else:
            self.state.stale_evaluations += 1
        self._swap_back(live)
        self.model.train()
        record = {"step": self.state.step, "elapsed_s": round(self.state.elapsed_s, 1), **metrics}
        self.state.history.append(record)
        if self.rank == 0:
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")
            for name, value in metrics.items():
                board.add_scalar(f"validation/{name}", value, self.state.step)
            shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
            print(f"step {self.state.step}: validation  {shown}", file=sys.stderr, flush=True)

    def _swap_in_average(self) -> dict[str, torch.Tensor] | None:
        if self.average is None:
            return None
        live = {name: value.detach().clone() for name, value in self.trainable.items()}
        self._assign(self.average)
        return live

    def _swap_back(self, live: dict[str, torch.Tensor] | None) -> None:
        if live is not None:
            self._assign(live)

    @torch.no_grad()
    def _assign(self, values: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.trainable.items():
            parameter.copy_(values[name])

    def _restore_best(self) -> None:
        best = self.folder / "best.pt"
        if self.world > 1:
            dist.barrier()
        if self.validation and best.is_file():
            self._assign(torch.load(best, weights_only=True))
        elif self.average is not None:
            self._assign(self.average)
        self.model.train(False)

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def _checkpoint(self) -> Path:
        return self.folder / ("checkpoint.pt" if self.rank == 0 else f"checkpoint-{self.rank}.pt")

    def _save(self) -> None:
        _atomic_save(
            {
                "config": json.dumps(asdict(self.config), sort_keys=True),
                "examples": len(self.examples),
                "model": {name: value.detach() for name, value in self.trainable.items()},
                "average": self.average,
                "optimiser": self.optimiser.state_dict(),
                "torch_rng": torch.get_rng_state(),
                "python_rng": repr(random.getstate()),
                "state": asdict(self.state),
            },
            self._checkpoint(),
        )

    def _resume(self) -> None:
        path = self._checkpoint()
        if not path.is_file():
            return
        stored = torch.load(path, weights_only=True)
        now = json.dumps(asdict(self.config), sort_keys=True)
        if stored["config"] != now or stored["examples"] != len(self.examples):
            raise UsageError(
                f"{self.folder} holds a run with another configuration or other data",
                hint="give a new --out folder, or repeat the options of the run to resume",
            )
        self._assign(stored["model"])
        self.average = stored["average"]
        self.optimiser.load_state_dict(stored["optimiser"])
        torch.set_rng_state(stored["torch_rng"])
        version, internal, gauss = _literal(stored["python_rng"])
        random.setstate((version, internal, gauss))
        self.state = State(**stored["state"])

    # -- telling -----------------------------------------------------------------------------------------------------

    def _board(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder / "tensorboard"))

    def _report(self, loss: float, lr_factor: float) -> None:
        progress = max(self.progress(), 1e-9)
        left_s = self.state.elapsed_s * (1 - progress) / progress
        print(
            f"step {self.state.step}/{self.total_steps}  epoch {self.state.epoch}  loss {loss:.4f}  "
            f"lr {self.config.lr * lr_factor:.2e}  {100 * progress:.1f} %  left {left_s / 60:.1f} min",
            file=sys.stderr,
            flush=True,
        )


def _atomic_save(value: Any, path: Path) -> None:
    """A kill in the middle of writing must leave the previous file whole."""
    part = path.with_suffix(".part")
    torch.save(value, part)
    part.replace(path)


def _literal(text: str) -> Any:
    import ast

    return ast.literal_eval(text)
