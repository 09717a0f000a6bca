"""Probabilities of a bundle or of a trained model over rows, in one form, so that reports do not care which it is.

A bundle is scored through the worker's own engine: what is scored is what is served. A trained model's folder (weights that
no worker loads yet) goes through the training side's forward.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from training.data import Row
from training.metrics import Floats
from training.model import COLUMNS, trained_folder
from training.names import distinct_names
from training.sets import kind_of
from worker.classify.answers import LABELS
from worker.classify.manifest import MANIFEST
from worker.errors import ModelError, UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

    from training.model import Columns
    from worker.classify.engine import Engine

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
        """The labels that it can answer, of every kind."""
        ...

    @property
    def details(self) -> Mapping[str, str]:
        """Size, precision and the like, for the table of models."""
        ...

    def probabilities(self, rows: Sequence[Row], labels: Sequence[str]) -> Floats:
        """[rows, labels]: how likely each of these labels is if it is one of them. All rows are of one kind. Blocks.

        ``labels`` are some of :attr:`labels` of that kind; which, says :func:`training.sets.labels_of_set`.
        """
        ...


@dataclass(frozen=True)
class BundleScorer:
    """A bundle behind the worker's engine."""

    name: str
    labels: Mapping[str, tuple[str, ...]]
    details: Mapping[str, str]
    engine: "Engine"

    def probabilities(self, rows: Sequence[Row], labels: Sequence[str]) -> Floats:
        """See :class:`Scorer`. A model without a neutral column took neutral from both sides in equal parts, so both get it back.

        :raises ModelError: the engine failed on a text.
        """
        return self.among(labels, self.served(rows), kind_of(rows))

    def among(self, labels: Sequence[str], served: Floats, kind: str) -> Floats:
        """What :meth:`probabilities` says, from what :meth:`served` said."""
        by_rule = "neutral" not in self.engine.bundle.manifest.kinds[kind].labels
        three = served + served[:, [1]] / 2 if by_rule and "neutral" not in labels else served
        own = three[:, [LABELS.index(label) for label in labels]]
        return np.asarray(own / own.sum(-1, keepdims=True))

    def served(self, rows: Sequence[Row]) -> Floats:
        """[rows, negative / neutral / positive] as the worker serves them. Blocks.

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

    def probabilities(self, rows: Sequence[Row], labels: Sequence[str]) -> Floats:
        """See :class:`Scorer`; temperatures are 1."""
        from training.evaluate import logits_on
        from training.predict import probabilities_of

        logits = logits_on(self.model, self.tokenizer, self.columns, rows, max_tokens=self.max_tokens)
        return probabilities_of(logits, self.columns.of(kind_of(rows), labels))


def open_scorer(folder: Path, *, max_tokens: int | None = None) -> "BundleScorer | ModelScorer":
    """A scorer for a bundle, a run's folder or its ``model`` folder.

    ``max_tokens`` as :func:`training.runs.max_tokens_of` takes it: None asks the folder.

    :raises ModelError: the bundle cannot be served.
    :raises UsageError: the folder holds neither, or a limit is given for a bundle.
    """
    from training.runs import max_tokens_of

    limit = max_tokens_of(folder, max_tokens)
    if (folder / MANIFEST).is_file():
        return open_bundle(folder)
    trained = trained_folder(folder)
    if (trained / COLUMNS).is_file():
        return _open_model(trained, _named_folder(folder).name, limit)
    raise UsageError(f"{folder} is neither a bundle nor a run with a trained model")


def open_scorers(
    folders: Sequence[Path], *, max_tokens: int | None = None
) -> list["BundleScorer | ModelScorer"]:
    """The scorers of several folders, each with a name of its own: where some share one, what sets their folders apart is added.

    :raises ModelError: a bundle cannot be served.
    :raises UsageError: as :func:`open_scorer`, or a folder is given twice.
    """
    apart = distinct_names([_named_folder(folder) for folder in folders])
    scorers = [open_scorer(folder, max_tokens=max_tokens) for folder in folders]
    names = [scorer.name for scorer in scorers]
    return [
        replace(scorer, name=f"{scorer.name} ({folder})") if names.count(scorer.name) > 1 else scorer
        for scorer, folder in zip(scorers, apart, strict=True)
    ]


def _named_folder(folder: Path) -> Path:
    """The folder that a person would name: of a run, not the `model` in it."""
    trained = trained_folder(folder.resolve())
    return trained.parent if trained.name == "model" else trained


def open_bundle(folder: Path, *, precision: str | None = None) -> BundleScorer:
    """A scorer for a bundle, with the worker's settings of the model (`TAGLINE_MODEL_PRECISION`, say); or in the given
    precision, on the CPU.

    :raises ModelError: the bundle cannot be served.
    :raises UsageError: a setting is wrong.
    """
    from worker.classify.engine import Engine
    from worker.settings import load

    settings = load().model
    if precision:
        settings = settings.model_copy(update={"precision": precision, "device": "cpu"})
    engine = Engine.load(settings, bundle=folder)
    manifest = engine.bundle.manifest
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return BundleScorer(
        name=f"{manifest.name} {manifest.version}",
        labels=dict.fromkeys(manifest.kinds, LABELS),
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
