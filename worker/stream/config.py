"""From `Settings` to librdkafka's properties, and the clients opened with them.

The functions ending in `_config` are pure. What the worker's guarantees rest on is set here and nowhere else; a user's
`kafka.client_options` may tune everything but that (`OWNED` says which and why).
"""

from collections.abc import Callable, Mapping
from logging import Logger
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from worker.errors import UsageError
from worker.settings import KafkaSettings, Settings
from worker.stream.candid import CandidAdmin, CandidConsumer, CandidProducer
from worker.stream.errors import kafka_error
from worker.stream.offsets import commit_answered

Config = dict[str, Any]

QUIET: Final[Mapping[str, int]] = {"log_level": 2}
"""Critical only: a command says once what failed; librdkafka would say it at every attempt, twenty times a second."""

_NO_PROPERTIES = frozenset({"default.topic.config", "logger"})
"""What confluent-kafka takes beside librdkafka's properties: objects of Python, which JSON has none of."""

_OFFSETS = "offsets are stored only after the outputs are safe"
_SAFE = "an output may be neither lost nor reordered"
_ADDRESS = "it has a setting of its own"
_SECURITY = "it has a setting of its own, which refuses insecure choices"
_CODE = "it loads or runs code"

OWNED: Final[Mapping[str, str]] = {
    "enable.auto.commit": _OFFSETS,
    "auto.commit.enable": _OFFSETS,
    "auto.commit.interval.ms": _OFFSETS,
    "enable.auto.offset.store": _OFFSETS,
    "offset.store.method": _OFFSETS,
    "offset.store.path": _OFFSETS,
    "auto.offset.reset": "skipping records silently is a loss; see kafka.start_from",
    "isolation.level": "an aborted record must not be tagged",
    "check.crcs": "a damaged record must not be tagged",
    "enable.partition.eof": "intake commits the end of a partition by it",
    "group.id": "set kafka.group_id",
    "group.protocol": "set kafka.group_protocol",
    "group.instance.id": "a static member does not leave its group on close, which fights autoscaling",
    "partition.assignment.strategy": "the drain at a revoke is built for cooperative assignment",
    "session.timeout.ms": "set kafka.session_timeout_s",
    "heartbeat.interval.ms": "it follows from kafka.session_timeout_s",
    "max.poll.interval.ms": "set kafka.max_poll_interval_s",
    "queued.max.messages.kbytes": "set kafka.queued_max_mb",
    "statistics.interval.ms": "set telemetry.statistics_interval_s",
    "enable.idempotence": _SAFE,
    "acks": _SAFE,
    "request.required.acks": _SAFE,
    "retries": _SAFE,
    "message.send.max.retries": _SAFE,
    "delivery.report.only.error": "every delivery report is checked",
    "transactional.id": "set kafka.transactional_id",
    "transaction.timeout.ms": "set kafka.transaction_timeout_s",
    "message.timeout.ms": "set kafka.message_timeout_s",
    "delivery.timeout.ms": "set kafka.message_timeout_s",
    "linger.ms": "set kafka.linger_ms",
    "queue.buffering.max.ms": "set kafka.linger_ms",
    "message.max.bytes": "set kafka.message_max_bytes",
    "partitioner": "a key must stay in its partition, and in the one where Java clients put it",
    "bootstrap.servers": _ADDRESS,
    "metadata.broker.list": _ADDRESS,
    "security.protocol": _SECURITY,
    "sasl.mechanism": _SECURITY,
    "sasl.mechanisms": _SECURITY,
    "sasl.username": _SECURITY,
    "sasl.password": _SECURITY,
    "ssl.ca.location": _SECURITY,
    "ssl.certificate.location": _SECURITY,
    "ssl.key.location": _SECURITY,
    "enable.ssl.certificate.verification": "it would accept any broker",
    "ssl.endpoint.identification.algorithm": "it would accept any host with a valid certificate",
    "plugin.library.paths": _CODE,
    "ssl.engine.location": _CODE,
    "ssl.providers": _CODE,
    "sasl.kerberos.kinit.cmd": _CODE,
}
"""Property to the reason why it cannot be passed through."""


def passed_through(kafka: KafkaSettings) -> Config:
    """The user's own properties, checked against `OWNED`. Raises `UsageError` that names the first one refused."""
    for name in kafka.client_options:
        if reason := OWNED.get(name):
            raise UsageError(f"kafka.client_options: {name} cannot be set: {reason}")
        if name in _NO_PROPERTIES or name.endswith("_cb") or name.startswith("test."):
            raise UsageError(f"kafka.client_options: {name} cannot be set: it is not a tuning property")
    return dict(kafka.client_options)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _security(kafka: KafkaSettings) -> Config:
    config: Config = {"security.protocol": kafka.security_protocol.lower()}
    if kafka.security_protocol.startswith("SASL"):
        assert kafka.password is not None  # noqa: S101 - the settings' validator requires it with SASL
        config |= {
            "sasl.mechanism": kafka.sasl_mechanism,
            "sasl.username": kafka.username,
            "sasl.password": kafka.password.get_secret_value(),
        }
    if kafka.security_protocol.endswith("SSL"):
        files = {
            "ssl.ca.location": kafka.ca_file,
            "ssl.certificate.location": kafka.certificate_file,
            "ssl.key.location": kafka.key_file,
        }
        config |= {name: str(path) for name, path in files.items() if path is not None}
    return config


def _common(settings: Settings) -> Config:
    """What every client has: address, security, and times that find a restarted broker within seconds."""
    return {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "client.id": "tagline",
        **_security(settings.kafka),
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2_000,  # librdkafka's 10 s would add to every broker restart
        "topic.metadata.refresh.interval.ms": 30_000,  # partitions that were added are read within this time
        **passed_through(settings.kafka),
    }


def consumer_config(settings: Settings, *, stats_cb: Callable[[str], None] | None = None) -> Config:
    """The worker's consumer: commits nothing by itself, resets no offset by itself, reads only what was committed.

    `auto.offset.reset` is `error`, so intake gives a partition without a committed offset its start itself
    (`kafka.start_from`); an offset out of range arrives as a record error. The callbacks run in the thread that polls.
    """
    kafka = settings.kafka
    config = _common(settings) | {
        "group.id": kafka.group_id,
        "max.poll.interval.ms": _ms(kafka.max_poll_interval_s),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "check.crcs": True,
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": kafka.queued_max_mb * 1024,
        "on_commit": commit_answered,
    }
    config |= _group_protocol(kafka)
    for name, default in {
        "fetch.wait.max.ms": 50,  # a broker with nothing to say answers this late, which bounds latency when idle
        "queued.min.messages": 10_000,  # a pause discards what was prefetched, so little of it, but never none
        "fetch.queue.backoff.ms": 100,  # librdkafka's default lets a full queue run dry for a second
    }.items():
        config.setdefault(name, default)
    return config | _statistics(settings, stats_cb)


def _statistics(settings: Settings, stats_cb: Callable[[str], None] | None) -> Config:
    if stats_cb is None or settings.telemetry.statistics_interval_s == 0:
        return {}
    return {
        "stats_cb": stats_cb,
        "statistics.interval.ms": _ms(settings.telemetry.statistics_interval_s),
    }


def _group_protocol(kafka: KafkaSettings) -> Config:
    if kafka.group_protocol == "consumer":
        # The broker owns session, heartbeat and assignor here; setting them is an error.
        return {"group.protocol": "consumer"}
    return {
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": _ms(kafka.session_timeout_s),
        "heartbeat.interval.ms": min(3_000, _ms(kafka.session_timeout_s / 3)),
    }


def producer_config(
    settings: Settings, transactional_id: str | None, *, stats_cb: Callable[[str], None] | None = None
) -> Config:
    """The worker's producer: idempotent, acknowledged by all replicas in sync, lz4; transactional when an id is given.

    A message never outlives its transaction: librdkafka refuses a message time-out above the transaction's.
    """
    kafka = settings.kafka
    config = (
        _common(settings)
        | {
            "enable.idempotence": True,
            "acks": "all",
            "delivery.report.only.error": False,
            "linger.ms": kafka.linger_ms,
            "message.max.bytes": kafka.message_max_bytes,
            "message.timeout.ms": _ms(kafka.message_timeout_s),
            "partitioner": "murmur2_random",  # Java's, so that subscribers can join inputs and outputs by partition
        }
    )
    if "compression.codec" not in config:
        config.setdefault("compression.type", "lz4")  # two names of one property; the later wins
    config.setdefault("queue.buffering.max.messages", 100_000)
    config.setdefault("queue.buffering.max.kbytes", max(65_536, 4 * kafka.message_max_bytes // 1024))
    if transactional_id is not None:
        config |= {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": _ms(kafka.transaction_timeout_s),
            "message.timeout.ms": _ms(min(kafka.message_timeout_s, kafka.transaction_timeout_s)),
        }
    return config | _statistics(settings, stats_cb)


def tool_producer_config(settings: Settings, transactional_id: str | None = None) -> Config:
    """The worker's producer for tools that send (`local feed`, `dlq redrive`), as quiet as the other clients of tools."""
    return {**QUIET, **producer_config(settings, transactional_id)}


def admin_config(settings: Settings) -> Config:
    """For creating and describing topics, groups and offsets."""
    return {**QUIET, **_common(settings)}


def reader_config(settings: Settings, group_id: str) -> Config:
    """For tools that look without a trace (`tap`, `dlq`): partitions are assigned by hand, nothing is ever committed.

    `group_id` joins nothing; librdkafka wants one, and a tool that does commit gives its own. The end of a partition
    is reported as `_PARTITION_EOF`.
    """
    return {
        **QUIET,
        **_common(settings),
        "group.id": group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "check.crcs": True,
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 50,
        "queued.min.messages": 1_000,
        "queued.max.messages.kbytes": settings.kafka.queued_max_mb * 1024,
    }


def open_consumer(config: Config, *, logger: Logger | None = None) -> Consumer:
    """A consumer, or `UsageError` when a property is unknown or refused. Does not wait for a broker."""
    try:
        return CandidConsumer(config, logger=logger) if logger else CandidConsumer(config)
    except KafkaException as error:
        raise kafka_error(error, "opening the Kafka consumer") from error


def open_producer(config: Config, *, logger: Logger | None = None) -> Producer:
    """A producer, or `UsageError` when a property is unknown or refused. Does not wait for a broker."""
    try:
        return CandidProducer(config, logger=logger) if logger else CandidProducer(config)
    except KafkaException as error:
        raise kafka_error(error, "opening the Kafka producer") from error


def open_admin(config: Config) -> AdminClient:
    """An admin client, or `UsageError` when a property is unknown or refused. Does not wait for a broker.

    Use it as a context manager. Left to the garbage collector it may be destroyed inside another admin client's own
    thread, and confluent-kafka then aborts the process.
    """
    try:
        return CandidAdmin(config)
    except KafkaException as error:
        raise kafka_error(error, "opening the Kafka admin client") from error
