"""One worker process, put together from its settings, run until it is told to stop, and taken apart again."""

import gc
import importlib.metadata
import platform
import socket
import uuid
from collections.abc import Callable

import structlog
from confluent_kafka import Consumer

from worker import __version__
from worker.cache.tiers import Cache
from worker.classify.answers import KINDS
from worker.classify.engine import Engine
from worker.contracts.tagged import ModelRef
from worker.contracts.topics import INPUT_TOPICS, TOPICS
from worker.errors import DataError
from worker.pipeline.classify import Classify
from worker.pipeline.conclude import Conclude
from worker.pipeline.guard import Guard
from worker.pipeline.in_flight import TextsInFlight
from worker.pipeline.line import Line
from worker.pipeline.prepare import Prepare
from worker.pipeline.stop import StopSignal
from worker.settings import KafkaSettings, ModelSettings, Settings
from worker.signals.outputs import OutputWriter
from worker.stream.assignment import Assignment
from worker.stream.buffer import WindowLimits
from worker.stream.config import consumer_config, open_consumer, open_producer, producer_config
from worker.stream.described import describe
from worker.stream.exactly_once import ExactlyOncePublisher
from worker.stream.intake import Intake, IntakeLimits
from worker.stream.journal import Journal, open_journal
from worker.stream.offsets import LOOKUP_TIMEOUT_S, Offsets
from worker.stream.publish import AtLeastOncePublisher, Publisher
from worker.telemetry import metrics
from worker.telemetry.health import HealthState, serve_health
from worker.telemetry.logs import kafka_logger
from worker.telemetry.statistics import observe_statistics

log = structlog.get_logger(__name__)
kafka_log = kafka_logger()

CONNECT_TIMEOUT_S = 30.0
"""How long a start waits for the brokers before it gives up with a hint."""
CLOSE_TIMEOUT_S = 5.0
TRANSACTION_CALL_S = 30.0
BROKER_ABORT_S = 30.0
"""Longest time after a transaction's time-out until the broker has ended it; it looks every ten seconds."""


def load_engine(settings: ModelSettings) -> Engine:
    """The model that a worker needs. Takes seconds.

    Raises:
        ModelError: the bundle cannot be served, or does not answer for all that a worker reads.
    """
    engine = Engine.load(settings)
    engine.require(KINDS)
    return engine


def serve(settings: Settings, stop: StopSignal) -> None:
    """Run one worker until `stop()`, which hears when it begins to read. Blocks; call it on the main thread, which becomes the
    consumer's owner.

    Raises:
        TaglineError: with the exit code that says what ended it. Nothing unsafe was committed.
    """
    health = HealthState(stuck_after_s=settings.limits.stuck_after_s)
    with serve_health(health, settings.telemetry):
        engine = load_engine(settings.model)
        health.ready["model"] = True
        metrics.MODEL_INFO.labels(engine.model_name, engine.digest, engine.precision).set(1)
        metrics.BUILD_INFO.labels(
            __version__, platform.python_version(), importlib.metadata.version("torch")
        ).set(1)
        cache = Cache.from_settings(settings.redis, settings.cache, identity=engine.identity)
        _calm_collector()
        try:
            with open_journal(settings.limits.crash_journal) as journal:
                _run(settings, stop, engine, cache, health, journal)
        finally:
            engine.close()
            cache.close(CLOSE_TIMEOUT_S)


def _run(
    settings: Settings,
    stop: StopSignal,
    engine: Engine,
    cache: Cache,
    health: HealthState,
    journal: Journal,
) -> None:
    assignment, in_flight = Assignment(), TextsInFlight()
    publisher = _publisher(settings, assignment)
    consumer = open_consumer(consumer_config(settings, stats_cb=observe_statistics), logger=kafka_log)
    require_topics(consumer)
    health.ready["kafka"] = True
    line = Line(
        prepare=journal.opened_by(
            Prepare(engine, cache, in_flight, record_bytes=settings.limits.record_bytes)
        ),
        classify=journal.closed_by(Classify(engine, cache, in_flight)),
        conclude=Conclude(
            _writer(settings, engine),
            group=settings.kafka.group_id,
            version=__version__,
            names=settings.dead_letter_names,
            trim_above_bytes=settings.kafka.message_max_bytes
            if settings.dead_letter_oversize == "trim"
            else None,
        ),
        publisher=publisher,
        assignment=assignment,
    )
    intake = Intake(
        consumer,
        INPUT_TOPICS,
        assignment=assignment,
        stages=line,
        offsets=Offsets(
            consumer,
            assignment,
            start_from=settings.kafka.start_from,
            journal=journal,
            lookup_timeout_s=_lookup_timeout_s(settings.kafka),
            stop=stop,
        ),
        limits=_limits(settings),
        transactional=publisher.commits_offsets,
        journal=journal,
        on_progress=health.progress,
        on_membership=_membership(settings, health),
    )
    stop.begin()
    Guard(health, settings.limits.stuck_after_s).start()
    line.start()
    log.info("worker started", delivery=settings.delivery, group=settings.kafka.group_id, version=__version__)
    try:
        intake.run(stop)
    finally:
        health.ready |= {"kafka": False, "group": False}
        line.stop(CLOSE_TIMEOUT_S)
    log.info("worker stopped")


def _lookup_timeout_s(kafka: KafkaSettings) -> float:
    """What a killed worker leaves behind must time out before the coordinator answers: its session, its open transaction."""
    left_behind_s = max(kafka.session_timeout_s, kafka.transaction_timeout_s)
    return max(LOOKUP_TIMEOUT_S, left_behind_s + BROKER_ABORT_S)


def _membership(settings: Settings, health: HealthState) -> Callable[[bool], None]:
    """What the intake tells of its place in the group, as readiness.

    Under the `consumer` protocol the client says nothing to a member without partitions (measured with librdkafka 2.16; under
    `classic` it calls back with an empty list). A spare replica would never be ready, so membership is taken for granted there.
    """
    granted = settings.kafka.group_protocol == "consumer"
    health.ready["group"] = granted

    def tell(member: bool) -> None:
        health.ready["group"] = member or granted

    return tell


def _calm_collector() -> None:
    """Keep Python's cyclic garbage collector off the hot path.

    Micro-batches are made of many small containers that die by reference count, yet at the default threshold every 700 of
    them start a collection, and the older generations hold all that torch has made. Measured on cached records: 146 us a
    record by default, 66 us with these thresholds (prepare and conclude, one thread).
    """
    gc.collect()
    gc.freeze()  # what was made so far lives as long as the process
    gc.set_threshold(50_000, 20, 100)


def _writer(settings: Settings, engine: Engine) -> OutputWriter:
    model = ModelRef(name=engine.model_name, digest=engine.digest, precision=engine.precision)
    return OutputWriter(ce_source=settings.source, model=model)


def _publisher(settings: Settings, assignment: Assignment) -> Publisher:
    if settings.delivery == "exactly_once":
        # Random unless given: two replicas that shared an id would fence each other for ever.
        identity = (
            settings.kafka.transactional_id or f"tagline-{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        )
        config = producer_config(settings, identity, stats_cb=observe_statistics)
        return ExactlyOncePublisher(
            lambda: open_producer(config, logger=kafka_log),
            assignment,
            timeout_s=min(TRANSACTION_CALL_S, settings.kafka.transaction_timeout_s),
        )
    config = producer_config(settings, None, stats_cb=observe_statistics)
    return AtLeastOncePublisher(open_producer(config, logger=kafka_log))


def _limits(settings: Settings) -> IntakeLimits:
    window = settings.window
    return IntakeLimits(
        WindowLimits(window.max_records, window.max_bytes, window.max_wait_ms / 1000),
        high_records=window.high_records,
        high_bytes=window.high_bytes,
        drain_timeout_s=settings.limits.drain_timeout_s,
        stuck_after_s=settings.limits.stuck_after_s,
    )


def require_topics(consumer: Consumer) -> None:
    """Refuse to start without the topics: an output that cannot be published would stop the worker later, in mid-work.

    Raises:
        DataError: topics are missing.
        TaglineError: the brokers do not answer, refuse us, or hide one from us.
    """
    names = [topic.name for topic in TOPICS]
    missing = describe(consumer, names, timeout_s=CONNECT_TIMEOUT_S, doing="connecting to Kafka").missing
    if missing:
        raise DataError(f"topics are missing: {', '.join(missing)}", hint="Run `tagline topics create`.")
