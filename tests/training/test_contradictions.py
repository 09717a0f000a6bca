"""Options that would silently do nothing are refused, with the fix in the hint."""

from typing import Any

import pytest

from training.distil import DistilConfig
from training.efficient.methods import METHODS, EfficientConfig
from training.finetune import FinetuneConfig
from training.options import RecipeConfig
from training.train_config import TrainConfig
from worker.errors import UsageError

FGM = RecipeConfig(adversarial="fgm")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        *(
            ({"recipe": RecipeConfig(efficient=EfficientConfig(method), adversarial="pgd")}, "--adversarial")
            for method in METHODS
        ),
        ({"recipe": FGM, "freezing": "head"}, "--adversarial"),
        ({"recipe": FGM, "freezing": "top", "top_layers": 1}, "--adversarial"),
        ({"recipe": RecipeConfig(efficient=EfficientConfig("lora")), "freezing": "head"}, "--freezing"),
        ({"recipe": RecipeConfig(r_drop=1.0)}, "--r-drop"),
        ({"top_layers": 2}, "--top-layers"),
        ({"top_layers": 2, "freezing": "head"}, "--top-layers"),
        (
            {
                "recipe": RecipeConfig(efficient=EfficientConfig("adalora")),
                "train": TrainConfig(budget_minutes=5),
            },
            "--minutes",
        ),
    ],
)
def test_a_fine_tune_refuses_options_that_would_do_nothing(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told) as error:
        FinetuneConfig(**options)
    assert error.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_weight": 0, "hidden_epochs": 1},
        {"finetune": FinetuneConfig(recipe=RecipeConfig(label_smoothing=0.1))},
        {"finetune": FinetuneConfig(recipe=RecipeConfig(augment_copies=1))},
    ],
)
def test_a_distillation_refuses_options_that_would_do_nothing(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        DistilConfig(**options)


def test_what_works_together_is_taken() -> None:
    FinetuneConfig(recipe=FGM, freezing="gradual")
    FinetuneConfig(recipe=RecipeConfig(adversarial="fgm", r_drop=1.0), dropout=0.1)
    FinetuneConfig(freezing="top", top_layers=2)
    DistilConfig(hidden_weight=0)
