"""What a bundle of your own goes on from, and what that already answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import BertConfig

from training import model as models
from training.data import Row
from training.export import LoadedBundle, load_bundle
from training.model import Columns
from training.readable import readable
from training.runs import max_tokens_of
from training.scores import evaluate_folder
from worker.classify.answers import LABELS
from worker.classify.manifest import MANIFEST
from worker.files import is_file


@dataclass(frozen=True)
class Start:
    """What is gone on from: a bundle, a model that was trained here, or an encoder that answers nothing yet."""

    folder: Path
    name: str
    columns: Columns
    """Of an encoder none."""
    positions: int
    """The longest text that it can read, in tokens."""
    bundle: LoadedBundle | None
    """None of what is no bundle."""

    @property
    def kinds(self) -> Mapping[str, Mapping[str, Any]]:
        """What a bundle's manifest says of its kinds; none of what is no bundle."""
        return self.bundle.manifest["kinds"] if self.bundle else {}

    @property
    def max_tokens(self) -> int:
        """How long its texts were, or 256, as far as it has positions."""
        return min(max_tokens_of(self.folder, None), self.positions)

    def scores(self, sets: Mapping[str, Sequence[Row]]) -> dict[str, dict[str, Any]]:
        """Scores of the sets whose labels it can answer, each of one kind; a bundle's as it is served. Blocks."""
        known = dict.fromkeys(self.columns.labels, LABELS) if self.bundle else self.columns.labels
        own = {
            name: rows
            for name, rows in sets.items()
            if {row.label for row in rows} <= {*known.get(rows[0].kind, ())}
        }
        return evaluate_folder(self.folder, own, max_tokens=self.max_tokens) if own else {}


def open_start(base: str) -> Start:
    """Read what ``base`` names: a bundle's folder, an encoder's, a trained model's, or a hub name.

    :raises UsageError: it is none of these.
    :raises ModelError: the bundle was not exported here, or is damaged.
    """
    if is_file(Path(base) / MANIFEST):
        loaded = load_bundle(Path(base))
        name = f"{loaded.manifest['name']} {loaded.manifest['version']}"
        return Start(
            Path(base), name, loaded.columns, int(loaded.model.config.max_position_embeddings), loaded
        )
    folder = models.base_files(base)
    with readable(base):
        positions = int(BertConfig.from_pretrained(folder).max_position_embeddings)
    return Start(folder, Path(base).resolve().name, Columns(models.labels_in(folder)), positions, None)
