"""The properties that the guarantees rest on, and what a user may and may not add to them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker.errors import UsageError
from worker.settings import Settings
from worker.stream.config import (
    OWNED,
    admin_config,
    consumer_config,
    open_admin,
    open_consumer,
    open_producer,
    producer_config,
    reader_config,
    tool_producer_config,
)


def settings(**kafka: Any) -> Settings:
    return Settings.model_validate({"kafka": {"bootstrap_servers": "localhost:1", **kafka}})


def test_the_consumer_commits_and_resets_nothing_by_itself() -> None:
    config = consumer_config(settings())
    assert config["enable.auto.commit"] is False
    assert config["enable.auto.offset.store"] is False
    assert config["auto.offset.reset"] == "error"
    assert config["isolation.level"] == "read_committed"
    assert config["check.crcs"] is True


def test_the_classic_protocol_assigns_cooperatively_and_beats_at_least_three_times_a_session() -> None:
    config = consumer_config(settings(session_timeout_s=6))
    assert config["partition.assignment.strategy"] == "cooperative-sticky"
    assert config["session.timeout.ms"] == 6_000
    assert config["heartbeat.interval.ms"] * 3 <= config["session.timeout.ms"]


def test_the_consumer_protocol_leaves_out_what_the_broker_owns() -> None:
    config = consumer_config(settings(group_protocol="consumer"))
    assert config["group.protocol"] == "consumer"
    assert not {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"} & set(config)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_librdkafka_takes_every_property_of_the_consumer(protocol: str) -> None:
    config = consumer_config(settings(group_protocol=protocol), stats_cb=lambda _: None)
    open_consumer(config).close()


def test_statistics_are_asked_for_only_when_somebody_reads_them_and_the_interval_is_not_zero() -> None:
    assert "statistics.interval.ms" not in consumer_config(settings())
    assert consumer_config(settings(), stats_cb=lambda _: None)["statistics.interval.ms"] == 5_000
    assert producer_config(settings(), None, stats_cb=lambda _: None)["statistics.interval.ms"] == 5_000
    silent = settings().model_copy(
        update={"telemetry": settings().telemetry.model_copy(update={"statistics_interval_s": 0.0})}
    )
    assert "statistics.interval.ms" not in consumer_config(silent, stats_cb=lambda _: None)


def test_the_producer_is_idempotent_and_reports_every_delivery() -> None:
    config = producer_config(settings(), None)
    assert config["enable.idempotence"] is True
    assert config["acks"] == "all"
    assert config["delivery.report.only.error"] is False
    assert config["compression.type"] == "lz4"
    assert "transactional.id" not in config
    open_producer(config).close()


def test_a_message_never_outlives_its_transaction() -> None:
    config = producer_config(settings(message_timeout_s=300, transaction_timeout_s=30), "tagline-1")
    assert config["transactional.id"] == "tagline-1"
    assert config["message.timeout.ms"] == config["transaction.timeout.ms"] == 30_000
    open_producer(config).close()
    config = producer_config(settings(message_timeout_s=10, transaction_timeout_s=30), "tagline-1")
    assert config["message.timeout.ms"] == 10_000


def test_a_message_of_the_largest_size_fits_the_producer_s_buffer() -> None:
    config = producer_config(settings(message_max_bytes=200_000_000), None)
    assert config["queue.buffering.max.kbytes"] * 1024 > config["message.max.bytes"]


def test_tools_read_committed_records_from_the_start_and_commit_nothing() -> None:
    config = reader_config(settings(), "tagline-tap")
    assert config["isolation.level"] == "read_committed"
    assert config["auto.offset.reset"] == "earliest"
    assert config["enable.auto.commit"] is False
    open_consumer(config).close()


def test_the_admin_client_takes_its_properties() -> None:
    open_admin(admin_config(settings()))


def test_user_name_and_password_reach_librdkafka_only_with_a_sasl_protocol(tmp_path: Path) -> None:
    sasl = {"username": "tagline", "password": "s3cret"}
    secured = settings(security_protocol="SASL_SSL", ca_file=tmp_path / "ca.pem", **sasl)
    config = admin_config(secured)
    assert config["security.protocol"] == "sasl_ssl"
    assert config["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (config["sasl.username"], config["sasl.password"]) == ("tagline", "s3cret")
    assert config["ssl.ca.location"] == str(tmp_path / "ca.pem")
    assert not [name for name in admin_config(settings()) if "sasl" in name]


def test_mutual_tls_names_the_certificate_and_the_key(tmp_path: Path) -> None:
    config = admin_config(
        settings(security_protocol="SSL", certificate_file=tmp_path / "c.pem", key_file=tmp_path / "k.pem")
    )
    assert config["ssl.certificate.location"] == str(tmp_path / "c.pem")
    assert config["ssl.key.location"] == str(tmp_path / "k.pem")
    assert "ssl.ca.location" not in config


def test_a_certificate_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    config = producer_config(settings(security_protocol="SSL", ca_file=tmp_path / "absent.pem"), None)
    with pytest.raises(UsageError, match=r"ssl\.ca\.location"):
        open_producer(config)


@pytest.mark.parametrize("name", sorted(OWNED))
def test_what_the_worker_owns_cannot_be_passed_through(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be set") as caught:
        consumer_config(settings(client_options={name: "1"}))
    assert name in str(caught.value)
    assert OWNED[name] in str(caught.value)


@pytest.mark.parametrize(
    "name", ["plugin.library.paths", "ssl.engine.location", "ssl.providers", "sasl.kerberos.kinit.cmd"]
)
def test_nothing_that_loads_or_runs_code_can_be_passed_through(name: str) -> None:
    with pytest.raises(UsageError, match="loads or runs code"):
        admin_config(settings(client_options={name: "evil.so"}))


@pytest.mark.parametrize("name", ["error_cb", "test.mock.num.brokers", "default.topic.config", "logger"])
def test_callbacks_and_test_properties_cannot_be_passed_through(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        admin_config(settings(client_options={name: "1"}))


def test_tuning_is_passed_through_and_wins_over_our_tuning() -> None:
    tuned = settings(client_options={"fetch.wait.max.ms": "7", "compression.type": "zstd"})
    assert consumer_config(tuned)["fetch.wait.max.ms"] == "7"
    assert producer_config(tuned, None)["compression.type"] == "zstd"


def test_what_may_be_passed_through_is_never_overwritten_in_silence() -> None:
    for make in (consumer_config, lambda one: producer_config(one, "tagline-1")):
        ours = {name for name, value in make(settings()).items() if not callable(value)}
        for name in ours - OWNED.keys():
            assert make(settings(client_options={name: "given"}))[name] == "given"


def test_compression_may_be_chosen_by_either_of_its_names() -> None:
    config = producer_config(settings(client_options={"compression.codec": "zstd"}), None)
    assert config["compression.codec"] == "zstd"
    assert "compression.type" not in config, "it would win"


def test_an_unknown_property_or_a_bad_value_is_a_usage_error_that_names_it() -> None:
    with pytest.raises(UsageError, match=r"no\.such\.thing"):
        open_consumer(consumer_config(settings(client_options={"no.such.thing": "1"})))
    with pytest.raises(UsageError, match=r"fetch\.wait\.max\.ms"):
        open_consumer(consumer_config(settings(client_options={"fetch.wait.max.ms": "soon"})))


def test_a_tool_says_once_what_failed_and_its_clients_say_nothing() -> None:
    """Unless somebody asks them to."""
    loud = settings(client_options={"log_level": "7"})
    makers: list[Callable[[Settings], dict[str, Any]]] = [
        admin_config,
        lambda one: reader_config(one, "group"),
        tool_producer_config,
    ]
    for make in makers:
        assert make(settings())["log_level"] == 2
        assert make(loud)["log_level"] == "7"
    assert "log_level" not in producer_config(settings(), None), "the worker's are logged as events"
