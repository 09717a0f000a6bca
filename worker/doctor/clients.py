"""Would the worker's own clients take these settings? None of them needs a server to say no."""

from worker.cache.connection import RedisConnection
from worker.doctor.finding import Finding, failed, ok
from worker.errors import TaglineError
from worker.settings import Settings
from worker.stream.config import (
    QUIET,
    Config,
    consumer_config,
    open_consumer,
    open_producer,
    producer_config,
)


def kafka_configs(settings: Settings) -> tuple[Config, Config]:
    """The consumer's and the producer's properties, as the worker makes them.

    Raises ``UsageError`` for one that is the worker's own.
    """
    identity = settings.kafka.transactional_id or "tagline-doctor"
    return (
        consumer_config(settings, stats_cb=lambda _: None),
        producer_config(settings, identity if settings.delivery == "exactly_once" else None),
    )


def require_redis_url(settings: Settings) -> None:
    """Make the worker's connection to Redis, if one is set, without opening it.

    Raises ``UsageError`` for an address that cannot be used; its text holds no password.
    """
    if settings.redis.url:
        RedisConnection(settings.redis.url.get_secret_value(), timeout_s=1.0)


def check_kafka(settings: Settings) -> list[Finding]:
    """Open the worker's consumer and producer and close them at once: what librdkafka refuses, it refuses here."""
    try:
        consumer, producer = kafka_configs(settings)
        # That a broker does not answer is for another check to say.
        open_consumer({**consumer, **QUIET}).close()
        open_producer({**producer, **QUIET}).close()
    except TaglineError as error:
        return [failed("clients", error.message, error.hint, error.exit_code)]
    return [ok("clients", "the Kafka client takes all of its properties")]
