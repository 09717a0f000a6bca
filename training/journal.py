"""What a run tells: ``metrics.jsonl``, TensorBoard's files, and lines on standard error. One process of a run keeps it."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class Journal:
    """Open from the start of a run to its end."""

    def __init__(self, folder: Path, history: Sequence[Mapping[str, float]], *, step: int) -> None:
        """Begin anew, or go on at ``step`` after ``history``; what was told beyond that is dropped, for it comes again."""
        from torch.utils.tensorboard import SummaryWriter

        self._metrics = folder / "metrics.jsonl"
        self._metrics.write_text("".join(json.dumps(record) + "\n" for record in history), encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def training(
        self, *, step: int, steps: int, epoch: int, loss: float, lr: float, progress: float, elapsed_s: float
    ) -> None:
        """Where the run stands; ``loss`` is the mean since the last time."""
        left_s = elapsed_s * (1 - progress) / max(progress, 1e-9)
        self._say(
            f"step {step}/{steps}  epoch {epoch}  loss {loss:.4f}  lr {lr:.2e}  {100 * progress:.1f} %  "
            f"left {left_s / 60:.1f} min"
        )
        self._board.add_scalar("train/loss", loss, step)
        self._board.add_scalar("train/lr", lr, step)

    def validation(self, step: int, metrics: Mapping[str, float], record: Mapping[str, float]) -> None:
        """Scores of the model; ``record`` is the whole line of ``metrics.jsonl``."""
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        for name, value in metrics.items():
            self._board.add_scalar(f"validation/{name}", value, step)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self._say(f"step {step}: validation  {shown}")

    def close(self) -> None:
        """Write out what TensorBoard holds back."""
        self._board.close()

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
