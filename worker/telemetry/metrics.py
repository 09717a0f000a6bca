"""Every metric of the worker: one registry, one commented entry each. docs/metrics.md is generated from this file.

The objects are set from any thread. Label values come from closed sets in the code, never from records, so the number of
series is bounded. A label combination is made known when it is first used.
"""

from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # memory, CPU seconds, file descriptors of this process


class Entry(NamedTuple):
    """What the documentation says of one metric."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


ENTRIES: list[Entry] = []


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    ENTRIES.append(Entry(f"{name}_total", "counter", labels, meaning))
    return Counter(name, meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    ENTRIES.append(Entry(name, "gauge", labels, meaning))
    return Gauge(name, meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    ENTRIES.append(Entry(name, "histogram", labels, meaning))
    return Histogram(name, meaning, labels, registry=REGISTRY, buckets=buckets)


_STAGE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""From a micro-batch that the cache answers to one of the largest on a slow CPU."""
_LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""From an idle worker to one that catches up after half an hour away."""
_CACHE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
"""Around the default budget of 50 ms."""

# -- records: each consumed record ends as tagged, dead letter or skipped, and counts as that once it is published --------

RECORDS_CONSUMED = _counter(
    "tagline_records_consumed", "Records that intake put into micro-batches. A replay counts again."
)
RECORDS_PUBLISHED = _counter(
    "tagline_records_published",
    "Records whose outputs or dead letter Kafka has acknowledged (exactly once: whose transaction committed), or that "
    "were skipped.",
)
DEAD_LETTERS = _counter(
    "tagline_dead_letters",
    "Records published as dead letters, by the stage and the reason.",
    "stage",
    "reason",
)
RECORDS_SKIPPED = _counter(
    "tagline_records_skipped", "Records published that had nothing to tag, by reason.", "reason"
)

# -- time ---------------------------------------------------------------------------------------------------------------

STAGE_SECONDS = _histogram(
    "tagline_stage_seconds",
    "Seconds that a stage works on one micro-batch; classify: waits for its forwards, which were begun before.",
    "stage",
    buckets=_STAGE_S,
)
END_TO_END_SECONDS = _histogram(
    "tagline_end_to_end_seconds",
    "Seconds from the time stamp of a micro-batch's oldest record to the acknowledgement of all of it.",
    buckets=_LATENCY_S,
)
FRESHNESS_SECONDS = _gauge(
    "tagline_freshness_seconds",
    "Age of the oldest record that is read and not yet published: lag in time. 0 when nothing is in flight.",
)

# -- micro-batches and queues -----------------------------------------------------------------------------------------------

BATCH_RECORDS = _histogram(
    "tagline_batch_records", "Records in a micro-batch.", buckets=(1, 4, 16, 64, 128, 256, 512, 1024, 4096)
)
BATCH_TOKENS = _histogram(
    "tagline_batch_tokens",
    "Tokens that the model read for a micro-batch; texts that the cache knew count nothing.",
    buckets=(16, 64, 256, 1024, 4096, 16_384, 65_536),
)
PADDING_SHARE = _gauge(
    "tagline_padding_share",
    "Share of the last forwards' tokens that were padding, 0 to 1. Packed forwards: near 0.",
)
QUEUE_DEPTH = _gauge(
    "tagline_queue_depth",
    "Micro-batches that wait in front of a stage at this moment. The device's (classify) should not stay at 0.",
    "stage",
)
IN_FLIGHT_RECORDS = _gauge(
    "tagline_in_flight_records",
    "Records read and not yet accounted for: in micro-batches, or waiting for one.",
)

# -- Kafka: reading ---------------------------------------------------------------------------------------------------------

ASSIGNED_PARTITIONS = _gauge("tagline_assigned_partitions", "Partitions that this worker owns.")
PAUSED_PARTITIONS = _gauge("tagline_paused_partitions", "Partitions paused because the stages are full.")
LAG_RECORDS = _gauge(
    "tagline_lag_records",
    "Records of an owned partition that are not finished yet. In exactly-once mode those in flight are not counted.",
    "topic",
    "partition",
)
REBALANCES = _counter("tagline_rebalances", "Rebalances: assigned, revoked, or lost without notice.", "kind")
COMMITS = _counter(
    "tagline_commits",
    "Offset commits of the consumer: sent in the background, confirmed on a drain, or failed. One that Kafka refuses counts "
    "as sent first, then as failed; it is sent again.",
    "result",
)
CLIENT_QUEUE_MESSAGES = _gauge(
    "tagline_client_queue_messages",
    "Messages inside librdkafka: prefetched (consumer), or not yet acknowledged (producer).",
    "client",
)
CLIENT_QUEUE_BYTES = _gauge("tagline_client_queue_bytes", "The same in bytes.", "client")

# -- Kafka: publishing ------------------------------------------------------------------------------------------------------

TRANSACTIONS = _counter(
    "tagline_transactions", "Transactions, exactly-once mode: committed or aborted.", "outcome"
)
PRODUCERS_RECREATED = _counter(
    "tagline_producers_recreated", "Producers replaced after a fatal error or an unknown outcome of a commit."
)

# -- the cache ------------------------------------------------------------------------------------------------------------------

CACHE_REQUESTS = _counter(
    "tagline_cache_requests",
    "Texts looked up, each counted once: by the tier that knew it (flight: on its way to the model already; memory; "
    "redis), or tier none.",
    "tier",
    "result",
)
CACHE_ENTRIES = _gauge("tagline_cache_entries", "Texts remembered in the process.")
CACHE_VALUES_REJECTED = _counter(
    "tagline_cache_values_rejected",
    "Values in Redis that were truncated, foreign or not authentic, and counted as misses. Should stay 0.",
)
CACHE_WRITES = _counter(
    "tagline_cache_writes",
    "Entries on their way to Redis: stored; dropped because the queue was full or the breaker open; failed.",
    "result",
)
REDIS_CALLS = _counter(
    "tagline_redis_calls",
    "Calls to Redis by side (read, write) and result: ok, timeout, refused (credentials, permission or certificate), error, bypassed "
    "(breaker open).",
    "side",
    "result",
)
REDIS_READ_SECONDS = _histogram(
    "tagline_redis_read_seconds", "Seconds that a micro-batch waited for Redis.", buckets=_CACHE_S
)
BREAKER_STATE = _gauge(
    "tagline_breaker_state", "Circuit breaker in front of Redis: 0 closed, 1 trying again, 2 open.", "side"
)

# -- the model ------------------------------------------------------------------------------------------------------------------

DEVICE_OUT_OF_MEMORY = _counter(
    "tagline_device_out_of_memory",
    "Forwards that ran out of device memory and were tried again with half the tokens.",
)
PREDICTIONS = _counter(
    "tagline_predictions", "Records published as tagged, by kind of text and label.", "kind", "label"
)
SCORE = _histogram(
    "tagline_score",
    "Probability of the label given, by kind of text. A drift of its shape is a drift of the input.",
    "kind",
    buckets=(0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
)
MODEL_INFO = _gauge(
    "tagline_model_info",
    "1 for the model served. Replicas that differ are skewed.",
    "name",
    "digest",
    "precision",
)
BUILD_INFO = _gauge("tagline_build_info", "1 for the version that runs.", "version", "python", "torch")


def render() -> bytes:
    """Everything in the text format of Prometheus."""
    return generate_latest(REGISTRY)


def metrics_docs() -> str:
    """The reference page, as Markdown."""
    lines = [
        "# Metrics",
        "",
        "Generated from `worker/telemetry/metrics.py`; a test keeps it equal. Served at `/metrics` of `telemetry.port`,",
        "together with the `process_*` metrics of the Prometheus client.",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for entry in ENTRIES:
        labels = ", ".join(f"`{label}`" for label in entry.labels) or "none"
        lines.append(f"| `{entry.name}` | {entry.kind} | {labels} | {entry.meaning} |")
    return "\n".join(lines) + "\n"
