"""What a worker makes before it begins, and what ends it there."""

import time

import pytest

from tests.stream.mock_broker import mock_broker
from tests.stream.refusing_broker import SAID, refusing_passwords, with_wrong_password
from worker.errors import AuthenticationError
from worker.pipeline import service
from worker.settings import Settings
from worker.stream.assignment import Assignment
from worker.stream.config import consumer_config, open_consumer
from worker.telemetry import metrics


def test_a_broker_that_refuses_us_is_not_taken_for_one_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CONNECT_TIMEOUT_S", 1.0)
    with refusing_passwords() as address:
        consumer = open_consumer(consumer_config(with_wrong_password(address)) | {"log_level": 0})
        with pytest.raises(AuthenticationError, match=SAID):
            service.require_topics(consumer)
        consumer.close()


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_the_producer_s_queue_is_shown_also_while_nothing_is_published(delivery: str) -> None:
    metrics.CLIENT_QUEUE_MESSAGES.clear()
    with mock_broker() as address:
        settings = Settings.model_validate(
            {
                "delivery": delivery,
                "kafka": {"bootstrap_servers": address},
                "telemetry": {"statistics_interval_s": 0.05},
            }
        )
        publisher = service._publisher(settings, Assignment())
        deadline = time.monotonic() + 10
        while (
            metrics.REGISTRY.get_sample_value("tagline_client_queue_messages", {"client": "producer"}) is None
        ):
            assert time.monotonic() < deadline, "no statistics came"
            assert publisher.finished(0.01) == []
            time.sleep(0.01)
        publisher.close(1.0)
