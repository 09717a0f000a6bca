"""Conclude: every record gets its one outcome. Nothing leaves without one."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from worker.cache.tiers import Remembered
from worker.contracts.deadletter import Failure, dead_letter, trimmed
from worker.contracts.deadletter_names import HeaderNames
from worker.contracts.envelope import Inbound, Rejection, Skip
from worker.contracts.outbound import Coordinates, ce_time
from worker.contracts.reasons import Reason, Stage
from worker.contracts.sentiment import Scores, scores_of
from worker.pipeline.prepare import Item, Work
from worker.signals.outputs import OutputWriter
from worker.stream.microbatch import MicroBatch, Outcome
from worker.stream.record import Record


class Conclude:
    """Turns answers into messages: outputs of what could be tagged, a dead letter of what could not.

    Runs on the publish thread, where its cost overlaps with the device's. Pure but for the clock.
    """

    def __init__(
        self,
        writer: OutputWriter,
        *,
        group: str,
        version: str,
        names: HeaderNames = "tagline",
        trim_above_bytes: int | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._writer = writer
        self._group = group
        self._version = version
        self._names = names
        self._trim_above_bytes = trim_above_bytes
        self._now = now or (lambda: datetime.now(UTC))

    def __call__(self, batch: MicroBatch) -> None:
        """Fill ``batch.outcomes``, one per record, in order."""
        work: Work = batch.work
        published_at = ce_time(self._now())
        batch.outcomes = [
            self._outcome(record, item, published_at)
            for record, item in zip(batch.records, work.items, strict=True)
        ]

    def _outcome(self, record: Record, item: Item, published_at: bytes) -> Outcome:
        decoded, slot = item.decoded, item.slot
        at = Coordinates(record.topic, record.partition, record.offset, record.timestamp_ms or None)
        if isinstance(decoded, Skip):
            return Outcome("skipped", [], (decoded.reason,))
        if isinstance(decoded, Rejection):
            stage, attempts = (
                (Stage.PREPARE, 1) if record.fault is None else (Stage.INTAKE, record.fault.attempts)
            )
            return self._rejected(record, at, Failure(decoded.reason, stage, decoded.detail, attempts))
        if slot is None or slot.result is None:
            error = slot.error if slot is not None and slot.error else "no answer"
            return self._rejected(record, at, Failure(Reason.UNCLASSIFIABLE, Stage.CLASSIFY, error))
        return self._tagged(decoded, slot.result, item, at, published_at)

    def _tagged(
        self, decoded: Inbound, answer: Remembered, item: Item, at: Coordinates, published_at: bytes
    ) -> Outcome:
        scores = _scores(answer, answer.truncated or item.cut_short)
        messages = self._writer.messages(decoded, scores, at, text=item.text, published_at=published_at)
        return Outcome("tagged", messages, (decoded.kind, scores.label), scores.confidence)

    def _rejected(self, record: Record, at: Coordinates, failure: Failure) -> Outcome:
        letter = dead_letter(
            at,
            failure,
            key=record.key,
            value=record.value,
            headers=record.headers,
            group=self._group,
            worker_version=self._version,
            names=self._names,
        )
        if self._trim_above_bytes is not None:
            letter = trimmed(letter, self._trim_above_bytes)
        return Outcome("rejected", [letter], (failure.stage, failure.reason))


@lru_cache(maxsize=8_192)
def _scores(answer: Remembered, truncated: bool) -> Scores:
    """Scores of an answer: 2 us, most of it rounding, or 0.1 us for the answer of a text that recurs."""
    return scores_of(answer.negative, answer.neutral, answer.positive, truncated=truncated)
