"""How a training run goes: its length, its optimiser, and when it is looked at."""

from dataclasses import dataclass

from training.optim import Optimiser, Schedule
from training.precision import Precision
from worker.errors import UsageError

EVALUATE_EVERY = 500
"""The most steps between two evaluations where nobody says how many."""


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
    evaluate_every_steps: int | None = None
    """None for a tenth of the run, at most :data:`EVALUATE_EVERY` steps. The last step is evaluated in any case."""
    patience: int = 0
    """Stop after this many evaluations without a better metric. 0 never stops early."""
    checkpoint_every_s: float = 120.0

    def steps_between_evaluations(self, total_steps: int) -> int:
        """For a run of so many steps.

        :raises UsageError: the patience is longer than the run.
        """
        every = self.evaluate_every_steps or max(1, min(EVALUATE_EVERY, total_steps // 10))
        # The first evaluation is always a gain, so it takes one more than the patience to stop.
        earliest = (self.patience + 1) * every
        if self.patience and earliest >= total_steps:
            raise UsageError(
                f"--patience {self.patience} cannot stop this run: with an evaluation every {every} steps it would "
                f"stop at step {earliest} of {total_steps} or later",
                hint="lower --patience or --evaluate-every, or leave --patience out",
            )
        return every
