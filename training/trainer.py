"""The training loop: one file to read from top to bottom.

It knows nothing of recipes: they bring an objective, hooks that run after the backward of each batch (adversarial
perturbation, thawing) and hooks that run once a step (rank allocation). A run that is killed goes on from its last
checkpoint exactly as if it had not been: model, average, optimiser, random state, position, precision and what hooks
remember are all stored. Under ``torchrun`` every process takes its share of the batches and gradients are averaged; rank 0's
clock decides for all of them.
"""

import copy
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from training import checkpoint, processes
from training.batches import Example, collate
from training.hooks import Hook, Stateful, StepContext, StepHook
from training.journal import Journal, Standing
from training.model import Columns
from training.objective import Objective
from training.optim import make_optimiser, parameter_groups, schedule_factor
from training.precision import Precision, fastest_precision
from training.train_config import TrainConfig
from worker.errors import UsageError


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


Validation = Callable[[PreTrainedModel, bool], dict[str, float]]
"""Scores of a model by name; the flag asks for bfloat16 arithmetic."""


def run_length(examples: Sequence[Example], config: TrainConfig) -> int:
    """Steps of the optimiser in a whole run. The last step of an epoch may have fewer batches than the others.

    :raises UsageError: there are fewer batches than processes.
    """
    steps = math.ceil(len(_share_of_epoch(examples, config, 0)) / config.accumulate)
    return max(1, math.ceil(steps * config.epochs))


def _share_of_epoch(examples: Sequence[Example], config: TrainConfig, epoch: int) -> list[list[int]]:
    lengths = [len(example.ids) for example in examples]
    return processes.share_of_epoch(lengths, tokens=config.tokens_per_batch, seed=config.seed, epoch=epoch)


class Trainer:
    """Runs one training and keeps its folder.

    The folder holds ``checkpoint.pt``, ``metrics.jsonl`` and TensorBoard's files. A new trainer stands where the folder's
    checkpoint stands; nothing in the folder changes before :meth:`run`. Not for use from several threads.
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
        options: Mapping[str, Any] | None = None,
        after_backward: Sequence[Hook] = (),
        after_step: Sequence[StepHook] = (),
        remembered: Sequence[Stateful] = (),
    ) -> None:
        """``options``: all that was asked beside ``config``, so that a run is not resumed with others.

        ``remembered``: what else the checkpoint holds, beside the states of ``after_step``.

        :raises UsageError: nothing to train on, options that need a validation set without one, a patience that is longer than
            the run, or a folder that holds a checkpoint of another run.
        """
        if not examples:
            raise UsageError("there is nothing to train on")
        if validation is None and (
            config.patience or metric != "accuracy" or config.evaluate_every_steps is not None
        ):
            raise UsageError(
                "--patience, --metric and --evaluate-every look at validation files",
                hint="give --validation, or leave them out",
            )
        self.model, self.columns, self.examples = model, columns, examples
        self.objective, self.config, self.folder, self.pad_id = objective, config, folder, pad_id
        self.validation, self.metric = validation, metric
        self.after_backward, self.after_step = after_backward, after_step
        self.remembered = [*after_step, *remembered]
        self.rank = processes.rank()
        processes.join()
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
        self.best: dict[str, Any] | None = None
        self.total_steps = run_length(examples, config)
        self.evaluate_every = config.steps_between_evaluations(self.total_steps)
        self.identity = checkpoint.identity(
            {"train": config, "metric": metric, **(options or {})},
            examples,
            model,
            processes=processes.world(),
        )
        self.precision = self._resume()

    @property
    def bfloat16(self) -> bool:
        """Whether products are computed in bfloat16."""
        return self.precision == "bfloat16"

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self, *, stop_after_steps: int | None = None) -> State:
        """Train to the end, or for ``stop_after_steps`` more steps (a checkpoint is left then, as after a kill).

        Leaves the best weights by the validation metric (the last ones without validation) in ``self.model``.

        :raises UsageError: the loss, or the weights after a step, are no numbers.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        journal = self._journal()
        last_save = segment_start = time.monotonic()
        elapsed_before = self.state.elapsed_s
        stop_at = None if stop_after_steps is None else self.state.step + stop_after_steps
        self.model.train()
        while not self._finished():
            batches = self._epoch_batches(self.state.epoch)
            while self.state.batch < len(batches) and not self._finished():
                chosen = batches[self.state.batch : self.state.batch + self.config.accumulate]
                # The rate of the middle of a step: at its start the first one would be for nothing, at its end the last.
                lr_factor = self.factor(self.progress(ahead_steps=0.5))
                for group in self.optimiser.param_groups:
                    group["lr"] = group["full_lr"] * lr_factor
                loss = self._step(chosen)
                self.state.batch += len(chosen)
                self.state.step += 1
                now = time.monotonic()
                self.state.elapsed_s, save = processes.agreed(
                    (elapsed_before + now - segment_start, now - last_save > self.config.checkpoint_every_s)
                )
                if journal:
                    journal.training(
                        Standing(
                            step=self.state.step,
                            steps=self.total_steps,
                            epoch=self.state.epoch,
                            lr=self.config.lr * lr_factor,
                            progress=self.progress(),
                            elapsed_s=self.state.elapsed_s,
                        ),
                        loss,
                    )
                if self.validation and self.state.step % self.evaluate_every == 0:
                    self._evaluate(journal)
                if stop_at is not None and self.state.step >= stop_at:
                    self._save()
                    return self.state
                if save:
                    self._save()
                    last_save = now
            if not self._finished():
                self.state.epoch, self.state.batch = self.state.epoch + 1, 0
        if self.validation and (not self.state.history or self.state.history[-1]["step"] != self.state.step):
            self._evaluate(journal)
        self._save()
        if journal:
            journal.close()
        self._restore_best()
        return self.state

    def progress(self, *, ahead_steps: float = 0.0) -> float:
        """How far the run is, 0 to 1, by steps or by the clock, whichever is further; ``ahead_steps``: how far by then."""
        by_steps = (self.state.step + ahead_steps) / self.total_steps
        if self.config.budget_minutes is None:
            return by_steps
        return max(by_steps, self.state.elapsed_s / (60.0 * self.config.budget_minutes))

    def _step(self, chosen: Sequence[Sequence[int]]) -> float:
        """Forward and backward over the accumulated batches, hooks, clip, one optimiser step. Returns the mean loss."""
        self.optimiser.zero_grad(set_to_none=True)
        total = sum(self._backward(indices, of=len(chosen)) for indices in chosen)
        if not math.isfinite(total):
            raise UsageError(f"the loss is {total} at step {self.state.step}", hint="lower --lr")
        processes.average_gradients(self.trainable.values())
        torch.nn.utils.clip_grad_norm_(self.trainable.values(), self.config.clip_norm)
        self.optimiser.step()
        for step_hook in self.after_step:
            step_hook.after_step(self.state.step)
        self._follow_weights()
        return total

    def _backward(self, indices: Sequence[int], *, of: int) -> float:
        """Add the gradients of one batch of ``of`` that make a step. Returns its share of the step's loss."""
        batch = collate(
            [self.examples[i] for i in indices], self.columns, pad_id=self.pad_id, epoch=self.state.epoch
        )
        earlier = self._set_gradients_aside() if self.after_backward else {}
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = self.objective(self.model, batch)
        for step_hook in self.after_step:
            loss = loss + step_hook.penalty()
        loss = loss / of
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for hook in self.after_backward:
            hook(StepContext(self.model, batch, self.objective, self.progress(), self.bfloat16, 1 / of))
        for name, gradient in earlier.items():
            own = self.trainable[name].grad
            self.trainable[name].grad = gradient if own is None else own.add_(gradient)
        return float(loss.detach())

    def _follow_weights(self) -> None:
        """Move the average of the weights, if there is one, towards the weights of this step."""
        if self.average is None:
            return
        # A young average follows quickly, so that it does not remember the untrained head.
        decay = min(self.config.average_decay, (1 + self.state.step) / (10 + self.state.step))
        names = list(self.average)
        torch._foreach_lerp_(  # the fused form; 200 single lerps cost a tenth of a step
            [self.average[n] for n in names], [self.trainable[n].detach() for n in names], 1 - decay
        )

    def _set_gradients_aside(self) -> dict[str, torch.Tensor]:
        """The gradients so far, which are cleared: a perturbing hook needs the direction of its own batch alone."""
        found = {name: value.grad for name, value in self.trainable.items() if value.grad is not None}
        self.optimiser.zero_grad(set_to_none=True)
        return found

    # -- batches -----------------------------------------------------------------------------------------------------

    def _epoch_batches(self, epoch: int) -> list[list[int]]:
        return _share_of_epoch(self.examples, self.config, epoch)

    def _finished(self) -> bool:
        stale = self.config.patience and self.state.stale_evaluations >= self.config.patience
        return self.progress() >= 1.0 or bool(stale)

    # -- evaluation and keeping --------------------------------------------------------------------------------------

    def _evaluate(self, journal: Journal | None) -> None:
        if self.validation is None:
            return
        self._check_weights()
        live = self._swap_in_served()
        metrics = processes.agreed(self.validation(self.model, self.bfloat16))
        if metrics[self.metric] > self.state.best_metric:
            self.state.best_metric, self.state.best_step = metrics[self.metric], self.state.step
            self.state.stale_evaluations = 0
            self.best = {
                "model": {name: value.detach().clone() for name, value in self.trainable.items()},
                "after_step": [copy.deepcopy(hook.state_dict()) for hook in self.after_step],
            }
        else:
            self.state.stale_evaluations += 1
        if live is not None:
            self._assign(live)
        self.model.train()
        record = {"step": self.state.step, "elapsed_s": round(self.state.elapsed_s, 1), **metrics}
        self.state.history.append(record)
        if journal:
            journal.validation(self.state.step, metrics, record)

    def _check_weights(self) -> None:
        """Raise where a step left no numbers: the loss would tell with the next batch, and after the last step there is none.

        :raises UsageError: a weight is infinite or not a number.
        """
        if not all(bool(torch.isfinite(value).all()) for value in self.trainable.values()):
            raise UsageError(f"the weights are no numbers after {self.state.step} steps", hint="lower --lr")

    def _swap_in_served(self) -> dict[str, torch.Tensor] | None:
        """Put the weights in place that would be served now. Returns those that train, None where they are the same."""
        if self.average is None and not self.after_step:
            return None
        live = {name: value.detach().clone() for name, value in self.trainable.items()}
        if self.average is not None:
            self._assign(self.average)
        for hook in self.after_step:
            hook.settle()
        return live

    @torch.no_grad()
    def _assign(self, values: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.trainable.items():
            parameter.copy_(values[name])

    def _restore_best(self) -> None:
        if self.best is not None:
            self._assign(self.best["model"])
            for hook, state in zip(self.after_step, self.best["after_step"], strict=True):
                hook.load_state_dict(state)
        else:
            self._swap_in_served()
        self.model.train(False)

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """One file for all processes, and the best weights in it, so that a kill cannot leave these at different steps.

        :raises UsageError: as :meth:`_check_weights`; the file stays as it was.
        """
        self._check_weights()
        own = {
            "random": checkpoint.random_state(),
            "remembered": [one.state_dict() for one in self.remembered],
        }
        ranks = processes.gathered(own)
        if self.rank == 0:
            checkpoint.save(
                {
                    "identity": self.identity,
                    "precision": self.precision,
                    "model": {name: value.detach() for name, value in self.trainable.items()},
                    "average": self.average,
                    "best": self.best,
                    "optimiser": self.optimiser.state_dict(),
                    "ranks": ranks,
                    "state": asdict(self.state),
                },
                self.folder / "checkpoint.pt",
            )

    def _resume(self) -> Precision:
        """Stand where the folder's checkpoint stands, if it has one. Returns the precision of the run."""
        stored = checkpoint.load(self.folder / "checkpoint.pt", self.identity)
        steps = processes.gathered(stored["state"]["step"] if stored else 0)
        if len(set(steps)) > 1:
            raise UsageError(
                f"the processes stand at different steps: {steps}",
                hint="all of them must see the same --out folder",
            )
        if stored is None:
            chosen = self.config.precision
            return processes.agreed(fastest_precision() if chosen == "auto" else chosen)
        self._assign(stored["model"])
        self.average, self.best = stored["average"], stored["best"]
        self.optimiser.load_state_dict(stored["optimiser"])
        own = stored["ranks"][self.rank]
        checkpoint.restore_random_state(own["random"])
        for one, state in zip(self.remembered, own["remembered"], strict=True):
            one.load_state_dict(state)
        self.state = State(**stored["state"])
        precision: Precision = stored["precision"]
        return precision

    def _journal(self) -> Journal | None:
        """Rank 0's."""
        if self.rank != 0:
            return None
        return Journal(self.folder, step=self.state.step)
