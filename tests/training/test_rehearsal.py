"""Other seeds of the shipped bundle's recipe, and a shorter run of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.commands import tagline_train
from training.recipes import shipped
from training.recipes.shipped import BundleConfig, ShippedConfig


def test_a_seed_and_a_share_of_the_epochs_change_nothing_else() -> None:
    recipe = ShippedConfig()
    assert recipe.seeded(1).rehearsed(1.0) == recipe  # or runs of the recipe that stand would be refused
    short = recipe.seeded(7).rehearsed(0.1)
    teacher, student = short.teacher.train, short.student.finetune.train
    assert (teacher.seed, student.seed) == (7, 8)
    assert (teacher.epochs, student.epochs) == pytest.approx((0.12, 0.2))
    assert teacher.average_decay == student.average_decay == pytest.approx(0.998**10)
    for config, own in ((short.teacher, recipe.teacher), (short.student.finetune, recipe.student.finetune)):
        train = replace(
            config.train, **{name: getattr(own.train, name) for name in ("seed", "epochs", "average_decay")}
        )
        assert replace(config, train=train) == own
    assert replace(short, teacher=recipe.teacher, student=recipe.student, bundle=recipe.bundle) == recipe
    assert "A rehearsal: 0.1 of" in short.bundle.origin
    assert replace(short.student, finetune=recipe.student.finetune) == recipe.student


def test_the_command_takes_a_seed_and_a_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ShippedConfig] = []
    monkeypatch.setattr(shipped, "reproduce", lambda *arguments: asked.append(arguments[-1]))
    monkeypatch.setattr("training.compare.compare", lambda _: "")
    folders = ["--data", tmp_path, "--base", "base", "--out", tmp_path, "--bundle", tmp_path]
    command = ["reproduce", *folders, "--version", "2"]
    tagline_train(*command)
    tagline_train(*command, "--seed", 4, "--share", 0.5)
    recipe = ShippedConfig(bundle=BundleConfig(version="2"))
    assert asked == [recipe, recipe.seeded(4).rehearsed(0.5)]
