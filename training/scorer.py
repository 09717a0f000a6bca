"""Probabilities of a bundle or of a trained model over rows, in one form, so that reports do not care which it is.

A bundle is scored through the worker's own engine: what is scored is what is served. A trained model's folder (weights that
no worker loads yet) goes through the training side's forward.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from training.data import Row
from training.metrics import Floats, Ints
from training.sets import kind_of
from worker.classify.answers import LABELS
from worker.errors import ModelError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

    from training.model import Columns
    from worker.classify.engine import Engine

MANIFEST = "bundle.json"
CHUNK = 512
"""Texts a call of the engine, so that a long set does not hold all its tokens at once."""


class Scorer(Protocol):
    """Anything that answers rows. Belongs to one thread."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The trained labels of every kind."""
        ...

    @property
    def details(self) -> Mapping[str, str]:
        """Size, precision and the like, for the table of models."""
        ...

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """[rows, labels of the kind]: calibrated, before the neutral rule. All rows are of one kind. Blocks."""
        ...


@dataclass(frozen=True)
class BundleScorer:
    """A bundle behind the worker's engine."""

    name: str
    labels: Mapping[str, tuple[str, ...]]
    details: Mapping[str, str]
    engine: "Engine"

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """See :class:`Scorer`. For a kind of two labels the neutral share is given back to both sides in equal parts.

        :raises ModelError: the engine failed on a text.
        """
        three = self.served(rows)
        if "neutral" in labels_for(self, kind_of(rows)):
            return three
        return three[:, [0, 2]] + three[:, [1]] / 2

    def served(self, rows: Sequence[Row]) -> Floats:
        """[rows, negative / neutral / positive] as the worker serves them, so after the neutral rule. Blocks.

        :raises ModelError: the engine failed on a text.
        """
        from worker.classify.engine import ClassifyError
        from worker.classify.normalise import normalise

        result = np.zeros((len(rows), len(LABELS)))
        for start in range(0, len(rows), CHUNK):
            normalised = [(row.kind, *normalise(row.text)) for row in rows[start : start + CHUNK]]
            for offset, answer in enumerate(self.engine.classify(self.engine.prepare(normalised))):
                if isinstance(answer, ClassifyError):
                    raise ModelError(f"row {start + offset} has no answer: {answer.code}")
                result[start + offset] = answer.negative, answer.neutral, answer.positive
        return result


@dataclass(frozen=True)
class ModelScorer:
    """The ``model`` folder of a run, in float32."""

    name: str
    labels: Mapping[str, tuple[str, ...]]
    details: Mapping[str, str]
    model: "PreTrainedModel"
    tokenizer: "Tokenizer"
    columns: "Columns"
    max_tokens: int

    def probabilities(self, rows: Sequence[Row]) -> Floats:
        """See :class:`Scorer`; temperatures are 1."""
        from training.evaluate import logits_and_gold
        from training.predict import probabilities_of

        logits, _ = logits_and_gold(
            self.model, self.tokenizer, self.columns, rows, max_tokens=self.max_tokens
        )
        return probabilities_of(logits, self.columns.of(kind_of(rows)))


def open_scorer(folder: Path, *, max_tokens: int = 256) -> Scorer:
    """A scorer for a bundle, a run's folder or its ``model`` folder. ``max_tokens`` is for models only.

    :raises ModelError: the bundle cannot be served.
    :raises UsageError: the folder holds neither.
    """
    if (folder / MANIFEST).is_file():
        return open_bundle(folder)
    if (folder / "model" / "columns.json").is_file():
        return _open_model(folder / "model", folder.name, max_tokens)
    if (folder / "columns.json").is_file():
        return _open_model(folder, folder.parent.name, max_tokens)
    raise UsageError(f"{folder} is neither a bundle nor a run with a trained model")


def open_bundle(folder: Path) -> BundleScorer:
    """A scorer for a bundle.

    :raises ModelError: the bundle cannot be served.
    """
    from worker.classify.engine import Engine

    engine = Engine.load(bundle=folder)
    manifest = engine.bundle.manifest
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return BundleScorer(
        name=f"{manifest.name} {manifest.version}",
        labels={
            # A label may own several columns (stars), or share one with its opposite.
            kind: LABELS if "neutral" in head.labels else ("negative", "positive")
            for kind, head in manifest.kinds.items()
        },
        details={
            "size": f"{size / 1e6:.1f} MB",
            "digest": str(engine.digest)[:12],
            "precision": engine.precision,
            "tokens": str(manifest.max_tokens),
        },
        engine=engine,
    )


def _open_model(folder: Path, name: str, max_tokens: int) -> ModelScorer:
    from training import model as models

    model, tokenizer, columns = models.load(folder)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    details = {"size": f"{size / 1e6:.1f} MB", "precision": "float32", "tokens": str(max_tokens)}
    return ModelScorer(name, columns.labels, details, model, tokenizer, columns, max_tokens)


def labels_for(scorer: Scorer, kind: str) -> tuple[str, ...]:
    """The labels that a scorer knows of a kind.

    :raises UsageError: it knows nothing of that kind.
    """
    if kind not in scorer.labels:
        raise UsageError(
            f"{scorer.name} has no head for texts of kind `{kind}`",
            hint=f"it knows {', '.join(scorer.labels)}",
        )
    return scorer.labels[kind]


def gold_of_rows(rows: Sequence[Row], labels: Sequence[str]) -> Ints:
    """The index of every row's label [rows].

    :raises UsageError: a row has another label than these, or none.
    """
    index = {label: position for position, label in enumerate(labels)}
    unknown = {row.label for row in rows if row.label not in index}
    if unknown:
        raise UsageError(
            f"labels {sorted(map(str, unknown))} are not among the model's", hint=f"it has {labels}"
        )
    return np.array([index[str(row.label)] for row in rows], dtype=np.int64)
