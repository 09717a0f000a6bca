"""What becomes of a message of the client."""

from typing import cast

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, Message

from tests.stream.fakes import FakeMessage
from worker.stream.record import from_message


@pytest.mark.parametrize(
    ("kind", "written_ms", "known_ms"),
    [
        (TIMESTAMP_CREATE_TIME, 1_000, 1_000),
        (TIMESTAMP_CREATE_TIME, -1, 0),  # Kafka's word for none, and yet the client gives it as a time
        (TIMESTAMP_NOT_AVAILABLE, 0, 0),
    ],
)
def test_a_record_without_a_time_has_none(
    kind: int, written_ms: int, known_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = FakeMessage(0)
    monkeypatch.setattr(message, "timestamp", lambda: (kind, written_ms))
    assert from_message(cast("Message", message)).timestamp_ms == known_ms
