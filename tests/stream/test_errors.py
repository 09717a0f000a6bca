"""Each of Kafka's errors ends with the exit code and hint that fit it."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from worker.errors import ExitCode
from worker.stream.errors import error_of, kafka_error


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError._AUTHENTICATION, ExitCode.AUTHENTICATION),
        (KafkaError._SSL, ExitCode.AUTHENTICATION),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, ExitCode.AUTHENTICATION),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, ExitCode.AUTHENTICATION),
        (KafkaError._ALL_BROKERS_DOWN, ExitCode.DEPENDENCY),
        (KafkaError._TRANSPORT, ExitCode.DEPENDENCY),
        (KafkaError._TIMED_OUT, ExitCode.DEPENDENCY),
        (KafkaError._MSG_TIMED_OUT, ExitCode.DEPENDENCY),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, ExitCode.DATA),
        (KafkaError._UNKNOWN_TOPIC, ExitCode.DATA),
        (KafkaError.OFFSET_OUT_OF_RANGE, ExitCode.DATA),
        (KafkaError._AUTO_OFFSET_RESET, ExitCode.DATA),
        (KafkaError.MSG_SIZE_TOO_LARGE, ExitCode.DATA),
        (KafkaError._INVALID_ARG, ExitCode.USAGE),
        (KafkaError.INVALID_REPLICATION_FACTOR, ExitCode.USAGE),
        (KafkaError.INVALID_PARTITIONS, ExitCode.USAGE),
        (KafkaError.POLICY_VIOLATION, ExitCode.USAGE),
        (KafkaError.NOT_ENOUGH_REPLICAS, ExitCode.DEPENDENCY),
    ],
)
def test_an_error_of_kafka_becomes_one_with_the_exit_code_that_fits(code: int, expected: ExitCode) -> None:
    error = kafka_error(KafkaException(KafkaError(code, "what it said")), "reading")
    assert error.exit_code is expected
    assert "reading: what it said" in error.message
    assert error.hint


@pytest.mark.parametrize(
    "code",
    [KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.POLICY_VIOLATION, KafkaError.NOT_ENOUGH_REPLICAS],
)
def test_nobody_is_asked_whether_kafka_is_up_when_it_has_answered(code: int) -> None:
    assert "Is Kafka up" not in (kafka_error(KafkaError(code), "creating").hint or "")


def test_an_output_that_nobody_acknowledged_names_the_setting_and_what_to_look_at() -> None:
    hint = kafka_error(KafkaError(KafkaError._MSG_TIMED_OUT), "publishing to t").hint or ""
    assert "kafka.message_timeout_s" in hint
    assert "min.insync.replicas" in hint
    assert "tagline doctor" in hint


@pytest.mark.parametrize(
    "text",
    [
        "ssl://k:9093/bootstrap: error:0A000086:SSL routines::certificate verify failed (after 3ms in state SSL_HANDSHAKE)",
        "ssl://k:9093/bootstrap: SSL handshake failed: error:0A00010B:SSL routines::wrong version number",
    ],
)
def test_a_handshake_that_failed_is_a_refusal_though_the_client_calls_it_a_broken_transport(
    text: str,
) -> None:
    error = kafka_error(KafkaError(KafkaError._TRANSPORT, text), "connecting")
    assert error.exit_code is ExitCode.AUTHENTICATION
    assert text in error.message


def test_a_connection_that_broke_in_the_handshake_is_no_refusal() -> None:
    broken = KafkaError(
        KafkaError._TRANSPORT, "ssl://k:9093: Receive failed (after 3ms in state SSL_HANDSHAKE)"
    )
    assert kafka_error(broken, "connecting").exit_code is ExitCode.DEPENDENCY


def test_both_forms_of_an_error_hold_the_same_one() -> None:
    inner = KafkaError(KafkaError._TIMED_OUT)
    assert error_of(inner) is inner
    assert error_of(KafkaException(inner)) is inner


def test_an_exception_without_a_kafka_error_keeps_its_text() -> None:
    assert "odd" in error_of(KafkaException("odd")).str()
