"""Prepare: from bytes to texts that are either known already or on their way through the model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from worker.cache.tiers import Cache
from worker.classify.answers import Text
from worker.classify.engine import Call
from worker.classify.normalise import normalise
from worker.contracts.envelope import Inbound, Rejection, Skip, decode
from worker.contracts.reasons import Reason
from worker.pipeline.in_flight import Slot, TextsInFlight
from worker.stream.microbatch import MicroBatch
from worker.stream.record import Record
from worker.telemetry import metrics

RECURRING_TEXTS = 8_192
RECURRING_CHARACTERS = 256
"""Texts that come again and again are short ("Good!"), and what is remembered of them must stay small. Measured, all of the
longest kind: 5 MB of ASCII, 7 MB of Chinese, 77 MB of one ligature that normalisation writes out as eighteen letters."""


class Model(Protocol):
    """The part of the engine that this stage uses, with a tokenizer of its own."""

    def prepare(self, texts: Sequence[tuple[str, str, bool]]) -> list[Text]:
        """Tokenise (kind, normalised text, cut short) triples."""
        ...

    def begin(self, texts: Sequence[Text]) -> Call:
        """Queue the model's forwards; does not block."""
        ...


@dataclass(slots=True)
class Item:
    """One record on its way through the stages."""

    decoded: Inbound | Rejection | Skip
    text: str = ""
    """The normalised text that the model reads."""
    slot: Slot | None = None
    """Where the answer for its text appears; None when it has no text to classify."""
    cut_short: bool = False
    """Normalisation left out a part of the text."""


@dataclass(slots=True)
class Work:
    """What this stage knows of a micro-batch: one item per record, and what was asked of the model."""

    items: list[Item] = field(default_factory=list)
    unknown: list[Slot] = field(default_factory=list)
    call: Call | None = None
    """The model's answers to come, in the order of `unknown`; None when there is nothing to ask."""


class Prepare:
    """Decodes and normalises records, looks their texts up, and hands those that nobody knows yet to the model.

    Belongs to the prepare thread. Blocks for at most the cache's time budget. Raises nothing on bad input: a record that
    cannot be used leaves as a rejection.
    """

    def __init__(self, model: Model, cache: Cache, in_flight: TextsInFlight, *, record_bytes: int) -> None:
        self._model = model
        self._cache = cache
        self._in_flight = in_flight
        self._record_bytes = record_bytes
        self._recurring = lru_cache(maxsize=RECURRING_TEXTS)(self._name)

    def __call__(self, batch: MicroBatch) -> None:
        """Leave a ``Work`` in ``batch.work``."""
        work = Work()
        asked: dict[bytes, tuple[Slot, tuple[str, str, bool]]] = {}
        for record in batch.records:
            work.items.append(self._item(record, asked))
        self._answer(work, asked)
        batch.work = work

    def _item(self, record: Record, asked: dict[bytes, tuple[Slot, tuple[str, str, bool]]]) -> Item:
        if record.fault is not None:
            return Item(Rejection(record.fault.reason, record.fault.detail))
        decoded = decode(record.topic, record.key, record.value, record.headers, max_bytes=self._record_bytes)
        if not isinstance(decoded, Inbound):
            return Item(decoded)
        name = self._recurring if len(decoded.text) <= RECURRING_CHARACTERS else self._name
        text, cut_short, key = name(decoded.kind, decoded.text)
        if not text:
            where = " at both ends, where it is looked at" if cut_short else ""
            return Item(Rejection(Reason.EMPTY_TEXT, f"only characters that normalisation drops{where}"))
        known = asked.get(key)
        if known is not None:
            return Item(decoded, text, known[0], cut_short)
        slot = self._in_flight.find(key)
        if slot is None:
            slot = Slot(key)
            asked[key] = (slot, (decoded.kind, text, False))
        else:
            metrics.CACHE_REQUESTS.labels("flight", "hit").inc()
        return Item(decoded, text, slot, cut_short)

    def _name(self, kind: str, written: str) -> tuple[str, bool, bytes]:
        """The one spelling of a text, whether that left a part out, and its key: 2.5 us, or 0.2 us when it recurs."""
        text, cut_short = normalise(written)
        return text, cut_short, self._cache.key(kind, text)

    def _answer(self, work: Work, asked: dict[bytes, tuple[Slot, tuple[str, str, bool]]]) -> None:
        if not asked:
            return
        remembered = self._cache.get_many(list(asked))
        texts: list[tuple[str, str, bool]] = []
        for key, (slot, text) in asked.items():
            slot.result = remembered.get(key)
            if slot.result is None:
                work.unknown.append(slot)
                texts.append(text)
                self._in_flight.add(slot)
        if texts:
            work.call = self._model.begin(self._model.prepare(texts))
