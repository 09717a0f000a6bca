"""Classify: the stage that owns the device, and does nothing that another stage could do."""

from collections.abc import Sequence
from typing import Protocol

from worker.cache.tiers import Cache, Remembered
from worker.classify.answers import CallStats, ClassifyError, Probabilities, Text
from worker.pipeline.flight import Flight
from worker.pipeline.prepare import Work
from worker.stream.microbatch import MicroBatch
from worker.telemetry import metrics


class Classifier(Protocol):
    """The part of the engine that this stage uses."""

    last_call: CallStats

    def classify(self, texts: Sequence[Text]) -> list[Probabilities | ClassifyError]:
        """One result per text; never raises for one bad text."""
        ...


class Classify:
    """Lets the model read what nobody knew, and remembers the answers. Belongs to the classify thread."""

    def __init__(self, classifier: Classifier, cache: Cache, flight: Flight) -> None:
        self._classifier = classifier
        self._cache = cache
        self._flight = flight

    def __call__(self, batch: MicroBatch) -> None:
        """Fill the slots of ``batch.work``. Blocks for the forward; raises only what ends the worker."""
        work: Work = batch.work
        if not work.unknown:
            return
        answers: list[tuple[bytes, Remembered]] = []
        for slot, answer in zip(work.unknown, self._classifier.classify(work.texts), strict=True):
            if isinstance(answer, ClassifyError):
                slot.error = answer.code
            else:
                slot.result = Remembered(answer.negative, answer.neutral, answer.positive, answer.truncated)
                answers.append((slot.key, slot.result))
        self._cache.put_many(answers)
        stats = self._classifier.last_call
        metrics.BATCH_TOKENS.observe(stats.tokens)
        if stats.tokens:
            metrics.PADDING_SHARE.set(stats.padding / (stats.tokens + stats.padding))
        for slot in work.unknown:
            self._flight.land(slot)
