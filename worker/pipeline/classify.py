"""Classify: the stage that waits for the model's answers, and does nothing that another stage could do."""

from typing import Protocol

from worker.cache.tiers import Cache, Remembered
from worker.classify.answers import CallStats, ClassifyError, Probabilities
from worker.classify.engine import Call
from worker.pipeline.in_flight import TextsInFlight
from worker.pipeline.prepare import Work
from worker.stream.microbatch import MicroBatch
from worker.telemetry import metrics


class Classifier(Protocol):
    """The part of the engine that this stage uses."""

    last_call: CallStats

    def finish(self, call: Call) -> list[Probabilities | ClassifyError]:
        """One result per text; never raises for one bad text."""
        ...


class Classify:
    """Takes the model's answers to what nobody knew, and remembers them. Belongs to the classify thread.

    The forwards were queued by ``Prepare``: while this stage waits for those of one micro-batch, a lane that has no more
    of them already computes the next one's.
    """

    def __init__(self, classifier: Classifier, cache: Cache, in_flight: TextsInFlight) -> None:
        self._classifier = classifier
        self._cache = cache
        self._in_flight = in_flight

    def __call__(self, batch: MicroBatch) -> None:
        """Fill the slots of ``batch.work``. Blocks for the forward; raises only what ends the worker."""
        work: Work = batch.work
        if work.call is None:
            return
        answers: list[tuple[bytes, Remembered]] = []
        for slot, answer in zip(work.unknown, self._classifier.finish(work.call), strict=True):
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
            self._in_flight.remove(slot)
