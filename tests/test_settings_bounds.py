"""Numbers that a library below would misread: refused by the setting's own name before any client or model is made."""

import pytest

from worker.doctor.clients import kafka_configs
from worker.errors import UsageError
from worker.settings import Settings, resolve
from worker.settings_sources import fields_of, variable_of
from worker.stream.config import open_consumer, open_producer

BOUNDED = (
    "kafka.session_timeout_s",
    "kafka.max_poll_interval_s",
    "kafka.message_timeout_s",
    "kafka.transaction_timeout_s",
    "kafka.linger_ms",
    "kafka.queued_max_mb",
    "kafka.message_max_bytes",
    "telemetry.statistics_interval_s",
    "redis.budget_ms",
    "redis.ttl_s",
    "cache.memory_entries",
    "model.threads",
    "model.tokens_per_forward",
)


@pytest.mark.parametrize("name", BOUNDED)
def test_a_number_beyond_what_the_libraries_take_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(UsageError, match=rf"^{name} \(from {variable_of(name)}\): should be less than"):
        resolve(environ={variable_of(name): "10000000000000000"})


def test_what_librdkafka_would_cut_down_to_less_than_a_second_is_refused() -> None:
    """It keeps 32 bits of milliseconds: 4,294,968 s, meant as never, would be 0.7 s."""
    with pytest.raises(UsageError, match="session_timeout_s"):
        resolve(environ={"TAGLINE_KAFKA_SESSION_TIMEOUT_S": "4294968"})
    with pytest.raises(UsageError, match="max_poll_interval_s"):
        resolve(environ={"TAGLINE_KAFKA_MAX_POLL_INTERVAL_S": "4294968"})


def test_a_time_out_that_would_be_rounded_to_none_is_refused() -> None:
    """0 ms of librdkafka's `message.timeout.ms` are for ever."""
    with pytest.raises(UsageError, match=r"kafka\.message_timeout_s"):
        resolve(environ={"TAGLINE_KAFKA_MESSAGE_TIMEOUT_S": "0.0004"})


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("bound", ["ge", "le"])
def test_the_client_takes_each_of_kafka_s_numbers_at_its_bound(bound: str, delivery: str) -> None:
    for name, field in fields_of(Settings).items():
        limits = [getattr(rule, bound) for rule in field.metadata if hasattr(rule, bound)]
        if not limits or name not in BOUNDED:
            continue
        # what has to fit beside it: a poll interval no shorter than the session, a message that outlives the linger
        others: dict[str, float] = {
            "kafka.message_timeout_s": 2_000_000,
            "kafka.transaction_timeout_s": 2_000_000,
        }
        if (name, bound) == ("kafka.session_timeout_s", "le"):
            others["kafka.max_poll_interval_s"] = 3_600
        if (name, bound) == ("kafka.max_poll_interval_s", "ge"):
            others |= {"kafka.session_timeout_s": 1, "limits.drain_timeout_s": 0.5}
        settings = resolve({**others, name: limits[0], "delivery": delivery}, environ={}).settings
        consumer, producer = kafka_configs(settings)
        open_consumer(consumer | {"log_level": 2}).close()
        open_producer(producer | {"log_level": 2}).close()
