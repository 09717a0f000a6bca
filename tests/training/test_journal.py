"""What a run leaves for those who want to see how it went."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.rows import make_rows
from training.finetune import FinetuneConfig, finetune
from training.pretrain import pretrain
from training.train_config import TrainConfig

QUICK = TrainConfig(epochs=1, lr=2e-3, tokens_per_batch=256, precision="float32")


def _finetune(base: Path, out: Path) -> None:
    finetune(str(base), make_rows(40, seed=1), {}, out, FinetuneConfig(train=QUICK, max_tokens=32))


def _pretrain(base: Path, out: Path) -> None:
    pretrain(str(base), make_rows(40, seed=1), out, QUICK)


@pytest.mark.parametrize("train", [_finetune, _pretrain])
def test_a_run_of_a_moment_without_validation_tells_its_loss(
    base: Path, tmp_path: Path, train: Callable[[Path, Path], None]
) -> None:
    train(base, tmp_path)
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["loss"] > 0
    assert last.keys() == {"step", "elapsed_s", "loss", "lr"}
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("train/loss")] == [last["step"]]
