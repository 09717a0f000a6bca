"""The recipes that a fine-tune may be made with, as one set of choices, and how they change a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from transformers import BertForSequenceClassification, PreTrainedModel

from training.data import Row
from training.efficient.methods import EfficientConfig, wrap
from training.hooks import Hook, StepHook
from training.objective import Objective, cross_entropy
from training.recipes.adversarial import Fgm, Pgd
from training.recipes.augment import Augmentation, augmented, back_translation
from training.recipes.r_drop import r_drop

Adversarial = Literal["none", "fgm", "pgd"]


@dataclass(frozen=True)
class RecipeConfig:
    """What is done beyond a plain fine-tune; the defaults do nothing."""

    efficient: EfficientConfig | None = None
    """Few new weights instead of all; None trains all."""
    adversarial: Adversarial = "none"
    r_drop: float = 0.0
    """Weight of the agreement between two passes; 0 makes one pass. Needs dropout."""
    augment_copies: int = 0
    """Changed copies of every labelled row."""
    back_translate: str = ""
    """MODULE:FUNCTION that gives one more copy of every labelled row (:func:`training.recipes.augment.back_translation`)."""
    label_smoothing: float = 0.0

    def sizes(self) -> dict[str, Any]:
        """How far the recipes go that have sizes of their own, for ``run.json``."""
        steps = {"none": None, "fgm": Fgm(), "pgd": Pgd()}[self.adversarial]
        return {
            "adversarial": steps,
            "augmentation": Augmentation(copies=self.augment_copies) if self.augment_copies else None,
        }

    def rows(self, rows: Sequence[Row], *, seed: int) -> list[Row]:
        """The rows to train on."""
        if not self.augment_copies:
            return list(rows)
        paraphrase = back_translation(self.back_translate) if self.back_translate else None
        return augmented(rows, Augmentation(copies=self.augment_copies), seed=seed, back_translate=paraphrase)

    def objective(self) -> Objective:
        """The loss."""
        if self.r_drop:
            return r_drop(self.r_drop, smoothing=self.label_smoothing)
        return cross_entropy(self.label_smoothing)

    def apply(
        self, model: BertForSequenceClassification, *, steps: int
    ) -> tuple[PreTrainedModel, list[Hook], list[StepHook]]:
        """The model to train in ``steps`` steps, what runs after each backward, and what runs after each step."""
        wrapped: PreTrainedModel = model
        hooks: list[Hook] = []
        step_hooks: list[StepHook] = []
        if self.adversarial != "none":
            hooks.append(Fgm().hook() if self.adversarial == "fgm" else Pgd().hook())
        if self.efficient is not None:
            efficient = replace(self.efficient, total_steps=self.efficient.total_steps or steps)
            wrapped, step_hooks = wrap(model, efficient)
        return wrapped, hooks, step_hooks
