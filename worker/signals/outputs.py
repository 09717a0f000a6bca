"""Everything that one tagged record becomes: the tagged event, and a message to each subscriber that wants one.

This is the hot path of formatting. It builds plain dictionaries and writes them with orjson; tests prove that each output
is what the models in ``worker.contracts`` would write. About 10 us for the three messages of a review.
"""

from typing import NamedTuple

import orjson

from worker.contracts.catalogue import (
    ADS_SIGNAL,
    CARE_ALERT,
    LISTING_TAGGED,
    RANKING_SIGNAL,
    REVIEW_TAGGED,
    MessageType,
)
from worker.contracts.envelope import Inbound
from worker.contracts.ids import input_id, output_id
from worker.contracts.inbound import ListingCreated
from worker.contracts.outbound import Coordinates, OutboundMessage, type_headers
from worker.contracts.sentiment import Scores
from worker.contracts.tagged import ModelRef
from worker.signals.ads import ads_signal
from worker.signals.care import care_alert
from worker.signals.ranking import ranking_signal
from worker.signals.signal import Signal, Subscriber

SUBSCRIBERS: tuple[tuple[MessageType, Subscriber], ...] = (
    (RANKING_SIGNAL, ranking_signal),
    (ADS_SIGNAL, ads_signal),
    (CARE_ALERT, care_alert),
)
"""A new subscriber is one file in this package and one line here (and its message in the catalogue)."""


def tagged_event(inbound: Inbound, scores: Scores, text: str) -> Signal:  # noqa: ARG001 - every subscriber's signature
    """The event for everyone: ``listing.tagged`` or ``review.tagged``."""
    event = inbound.event
    if type(event) is ListingCreated:
        return Signal(
            inbound.subject_key,
            {"listing_id": event.listing_id, "seller_id": event.seller_id, "sentiment": scores.payload()},
        )
    return Signal(
        inbound.subject_key,
        {
            "review_id": event.review_id,
            "listing_id": event.listing_id,
            "reviewer_id": event.reviewer_id,
            "sentiment": scores.payload(),
        },
    )


class _Output(NamedTuple):
    """One kind of message as the hot path needs it, with everything made beforehand that can be."""

    produce: Subscriber
    topic: str
    versioned: str
    headers: tuple[tuple[str, bytes], ...]


class OutputWriter:
    """Writes the outputs of one worker: one model, one ``ce_source``. Immutable, so any thread may call it."""

    def __init__(self, *, ce_source: str, model: ModelRef) -> None:
        self._digest = model.digest
        self._model = orjson.Fragment(orjson.dumps(model.model_dump()))
        subscribers = [self._output(ce_source, type_, produce) for type_, produce in SUBSCRIBERS]
        self._tables: dict[str, list[_Output]] = {
            "title": [self._output(ce_source, LISTING_TAGGED, tagged_event), *subscribers],
            "review": [self._output(ce_source, REVIEW_TAGGED, tagged_event), *subscribers],
        }

    @staticmethod
    def _output(ce_source: str, type_: MessageType, produce: Subscriber) -> _Output:
        headers = type_headers(ce_source, type_.name, type_.major)
        return _Output(produce, type_.topic, type_.versioned, headers)

    def messages(
        self, inbound: Inbound, scores: Scores, at: Coordinates, *, text: str, published_at: bytes
    ) -> list[OutboundMessage]:
        """The messages to produce, the tagged event first.

        ``text`` is the normalised text that the model read; it is looked at, never published. ``published_at`` is from
        ``outbound.ce_time`` and is the only thing in which duplicates differ. Does not block or raise.
        """
        topic, partition, offset, timestamp_ms = at
        cause = inbound.event_id or input_id(topic, partition, offset)
        # What every message ends with is written once: a comma, three fields and the closing brace.
        ending = b"," + orjson.dumps(
            {
                "event_at": inbound.event_at,
                "model": self._model,
                "source": {
                    "topic": topic,
                    "partition": partition,
                    "offset": offset,
                    "id": cause,
                    "timestamp_ms": timestamp_ms,
                },
            },
            option=orjson.OPT_UTC_Z,
        ).removeprefix(b"{")
        shared: list[tuple[str, bytes | None]] = [
            ("ce_time", published_at),
            ("ce_causationid", cause.encode()),
            ("ce_sequence", b"%020d" % offset),
        ]
        if inbound.traceparent is not None:
            shared.append(("traceparent", inbound.traceparent))
            if inbound.tracestate is not None:
                shared.append(("tracestate", inbound.tracestate))
        messages = []
        for produce, output_topic, versioned, headers in self._tables[inbound.kind]:
            signal = produce(inbound, scores, text)
            if signal is None:
                continue
            key, fields = signal
            event_id = output_id(versioned, topic, partition, offset, self._digest)
            messages.append(
                OutboundMessage(
                    output_topic,
                    key,
                    orjson.dumps(fields)[:-1] + ending,
                    [*headers, ("ce_id", event_id.encode()), ("ce_partitionkey", key), *shared],
                )
            )
        return messages
