"""Whoever is refused is told so, on a socket; what a client complains of last does not hide it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.stream.fakes import failed
from tests.stream.refusing_broker import (
    SAID,
    WRONG_PASSWORD,
    refusing_passwords,
    vouched_for_by_nobody,
    with_wrong_password,
)
from worker.errors import ExitCode
from worker.settings import Settings
from worker.stream.candid import Cause
from worker.stream.config import (
    admin_config,
    consumer_config,
    open_admin,
    open_consumer,
    open_producer,
    producer_config,
)
from worker.stream.errors import kafka_error

QUIET = {"log_level": 0}
WAIT_S = 2.0


def first_call_of_the_consumer(settings: Settings) -> None:
    open_consumer(consumer_config(settings) | QUIET).list_topics(timeout=WAIT_S)


def first_call_of_the_producer(settings: Settings) -> None:
    open_producer(producer_config(settings, "tagline-1") | QUIET).init_transactions(WAIT_S)


def first_call_of_the_admin(settings: Settings) -> None:
    with open_admin(admin_config(settings) | QUIET) as admin:
        admin.list_topics(timeout=WAIT_S)


CLIENTS = pytest.mark.parametrize(
    "ask", [first_call_of_the_consumer, first_call_of_the_producer, first_call_of_the_admin]
)


@CLIENTS
def test_a_wrong_password_is_a_refusal_with_the_broker_s_own_words(ask: Callable[[Settings], Any]) -> None:
    with refusing_passwords() as address, pytest.raises(KafkaException) as caught:
        ask(with_wrong_password(address))
    error = kafka_error(caught.value, "connecting")
    assert error.exit_code is ExitCode.AUTHENTICATION
    assert SAID in error.message
    assert WRONG_PASSWORD not in str(error)


@CLIENTS
def test_a_certificate_that_nobody_vouches_for_is_a_refusal(
    ask: Callable[[Settings], Any], tmp_path: Path
) -> None:
    with vouched_for_by_nobody(tmp_path) as address, pytest.raises(KafkaException) as caught:
        ask(Settings.model_validate({"kafka": {"bootstrap_servers": address, "security_protocol": "SSL"}}))
    error = kafka_error(caught.value, "connecting")
    assert error.exit_code is ExitCode.AUTHENTICATION
    assert "certificate verify failed" in error.message


def test_a_broker_that_is_not_there_says_what_the_connection_met() -> None:
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": "127.0.0.1:1"}})
    with pytest.raises(KafkaException) as caught:
        first_call_of_the_consumer(settings)
    error = kafka_error(caught.value, "connecting")
    assert error.exit_code is ExitCode.DEPENDENCY
    assert "127.0.0.1:1" in error.message
    assert "Is Kafka up" in (error.hint or "")


REFUSAL = KafkaError(KafkaError._AUTHENTICATION, "refused")
AWAY = KafkaError(KafkaError._TRANSPORT, "away")


def told(cause: Cause, error: KafkaException | None, *heard: KafkaError) -> KafkaError | None:
    """What a call that ends with `error` raises, when the client complains of `heard` in its next poll."""
    try:
        with cause.told(lambda _: [cause(one) for one in heard]):
            if error is not None:
                raise error
    except KafkaException as raised:
        return raised.args[0]
    return None


def test_a_refusal_explains_more_than_what_follows_from_it() -> None:
    all_down = KafkaError(KafkaError._ALL_BROKERS_DOWN)
    assert told(Cause(), failed(KafkaError._TRANSPORT), AWAY, REFUSAL, all_down, AWAY) is REFUSAL
    assert told(Cause(), failed(KafkaError._TRANSPORT), AWAY, all_down) is AWAY


def test_a_call_that_nothing_explains_keeps_its_own_error() -> None:
    error = failed(KafkaError._TRANSPORT)
    assert told(Cause(), error) is error.args[0]


def test_a_call_that_may_be_made_again_stays_so_unless_we_were_refused() -> None:
    again = KafkaException(KafkaError(KafkaError._TIMED_OUT, "again", retriable=True))
    assert told(Cause(), again, AWAY) is again.args[0]
    assert told(Cause(), again, REFUSAL) is REFUSAL


def test_what_was_wrong_before_a_call_succeeded_explains_nothing_after_it() -> None:
    cause, error = Cause(), failed(KafkaError._TRANSPORT)
    cause(REFUSAL)
    assert told(cause, None) is None
    assert told(cause, error) is error.args[0]
