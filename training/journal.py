"""What a run tells: ``metrics.jsonl``, TensorBoard's files, and lines on standard error. One process of a run keeps it."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.progress import say

TOLD_EVERY_S = 10.0
"""How often the loss of training is told."""


@dataclass(frozen=True)
class Standing:
    """How far a run is: ``progress`` from 0 to 1."""

    step: int
    steps: int
    epoch: int
    lr: float
    progress: float
    elapsed_s: float


class Journal:
    """Open from the start of a run to its end.

    ``metrics.jsonl`` has lines of two sorts, both with ``step`` and ``elapsed_s``: ``loss`` (the mean since the last such
    line) and ``lr`` of the training, and the scores of an evaluation.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        """Begin anew, or go on at ``step``; what was told beyond that is dropped, for it comes again."""
        from torch.utils.tensorboard import SummaryWriter

        self._metrics = folder / "metrics.jsonl"
        kept = [json.dumps(record) + "\n" for record in _told(self._metrics) if record["step"] <= step]
        self._metrics.write_text("".join(kept), encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        self._losses: list[float] = []
        self._last: Standing | None = None
        self._last_told_s = time.monotonic()

    def training(self, standing: Standing, loss: float) -> None:
        """One step was made. Told every ten seconds, and what is left of it before an evaluation and at the end."""
        self._last = standing
        self._losses.append(loss)
        if time.monotonic() - self._last_told_s > TOLD_EVERY_S:
            self._tell()

    def validation(self, step: int, metrics: Mapping[str, float], record: Mapping[str, float]) -> None:
        """Scores of the model; ``record`` is the whole line of ``metrics.jsonl``."""
        self._tell()
        self._write(record)
        for name, value in metrics.items():
            self._board.add_scalar(f"validation/{name}", value, step)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        say(f"step {step}: validation  {shown}")

    def close(self) -> None:
        """Tell the last losses, and write out what TensorBoard holds back."""
        self._tell()
        self._board.close()

    def _tell(self) -> None:
        if self._last is None or not self._losses:
            return
        now, loss = self._last, sum(self._losses) / len(self._losses)
        left_s = now.elapsed_s * (1 - now.progress) / max(now.progress, 1e-9)
        say(
            f"step {now.step}/{now.steps}  epoch {now.epoch}  loss {loss:.4f}  lr {now.lr:.2e}  {100 * now.progress:.1f} %  "
            f"left {left_s / 60:.1f} min"
        )
        self._write({"step": now.step, "elapsed_s": round(now.elapsed_s, 1), "loss": loss, "lr": now.lr})
        self._board.add_scalar("train/loss", loss, now.step)
        self._board.add_scalar("train/lr", now.lr, now.step)
        self._losses, self._last_told_s = [], time.monotonic()

    def _write(self, record: Mapping[str, float]) -> None:
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def _told(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a run's metrics but for a last line that a kill cut off."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return
