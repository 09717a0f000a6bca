"""A redrive whose client hangs, which no broker does when it is told to."""

import threading
import time
from types import SimpleNamespace
from typing import cast

import pytest
from confluent_kafka import KafkaError

from tests.stream.fakes import FakeProducer, failed
from worker.contracts.deadletter import Failure, dead_letter, read_dead_letter
from worker.contracts.outbound import Coordinates
from worker.contracts.reasons import Reason, Stage
from worker.contracts.topics import REVIEWS_POSTED
from worker.errors import DependencyError
from worker.settings import Settings
from worker.stream import exactly_once, redrive
from worker.stream.ledger import Ledger
from worker.stream.reading import Reader
from worker.stream.record import Record


def test_a_call_that_hangs_ends_the_redrive_and_its_producer_is_not_closed_under_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exactly_once, "HANG_MARGIN_S", 0.1)
    monkeypatch.setattr(redrive, "ANSWER_TIMEOUT_S", 0.1)
    producer, gate = FakeProducer(), threading.Event()
    monkeypatch.setattr(redrive, "open_producer", lambda _: producer)
    monkeypatch.setattr(producer, "send_offsets_to_transaction", lambda *_: gate.wait(20))
    producer.errors["abort"] = [failed(KafkaError._CONFLICT)]  # the client: another call is in progress
    consumer = SimpleNamespace(consumer_group_metadata=lambda: "group")
    reader = cast("Reader", SimpleNamespace(consumer=consumer, partitions=lambda _: [(REVIEWS_POSTED, 0)]))
    made = dead_letter(
        Coordinates(REVIEWS_POSTED, 0, 7, 1_000),
        Failure(Reason.NOT_JSON, Stage.PREPARE, ""),
        key=None,
        value=b"{",
        headers=[],
        group="g",
        worker_version="0",
    )
    letter = read_dead_letter(made.headers)
    assert letter is not None

    outbox = redrive._Outbox(Settings(), reader, "g.redrive", None)
    record = Record(made.topic, 0, 3, 1_000, made.key, made.value, made.headers)
    outbox.send(record, letter, (made.topic, 0), Ledger(0, ""))
    began = time.monotonic()
    with pytest.raises(DependencyError, match="committing the redrive: the client did not return"):
        outbox.commit()
    outbox.close()
    assert time.monotonic() - began < 10
    assert producer.calls[-3:] == ["abort", "purge", "flush"]
    gate.set()
