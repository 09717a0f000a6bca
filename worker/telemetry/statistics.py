"""librdkafka's statistics, turned into lag and queue gauges.

librdkafka calls back inside a client's poll, on the thread that owns the client, every
``telemetry.statistics_interval_s``.
"""

from typing import Any

import orjson

from worker.telemetry import metrics

_NOT_READING = frozenset({"none", "stopping", "stopped"})
"""Fetch states of partitions that this consumer does not own (any more)."""

_known: set[tuple[str, str]] = set()
"""Partitions whose lag is exposed now: one that was given away must not show its last lag for ever."""


def observe_statistics(document: str) -> None:
    """Set the gauges from one statistics document of a consumer or a producer. Never raises; does not block."""
    try:
        statistics = orjson.loads(document)
        if statistics["type"] == "consumer":
            _observe_consumer(statistics)
        else:
            metrics.CLIENT_QUEUE_MESSAGES.labels("producer").set(statistics["msg_cnt"])
            metrics.CLIENT_QUEUE_BYTES.labels("producer").set(statistics["msg_size"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # another version's document is no reason to stop reading from Kafka


def lags(statistics: dict[str, Any]) -> dict[tuple[str, str], int]:
    """(topic, partition) -> records not finished yet, for the partitions that the consumer owns and knows the end of."""
    found = {}
    for topic, details in statistics["topics"].items():
        for number, partition in details["partitions"].items():
            if number == "-1" or partition["fetch_state"] in _NOT_READING:
                continue
            lag = lag_of(partition)
            if lag is not None:
                found[topic, number] = lag
    return found


def lag_of(partition: dict[str, Any]) -> int | None:
    """Records between what is finished and what a reader of committed records can see; None while that is not known.

    Finished is what was stored for the next commit. A transactional worker commits through its producer, which its
    consumer's statistics do not see: then it is what the worker has read, up to the end if that was reached and nothing is
    left to be read. Negative offsets mean "not known".
    """
    end = partition["ls_offset"] if partition["ls_offset"] >= 0 else partition["hi_offset"]
    finished = partition["stored_offset"]
    if finished < 0:
        finished = max(partition["committed_offset"], partition["app_offset"])
        if partition["fetchq_cnt"] == 0:
            finished = max(finished, partition["eof_offset"])
    if finished < 0:
        finished = partition["next_offset"]  # nothing read yet: where reading will begin
    if end < 0 or finished < 0:
        return None
    return int(max(0, end - finished))


def _observe_consumer(statistics: dict[str, Any]) -> None:
    partitions = [one for topic in statistics["topics"].values() for one in topic["partitions"].values()]
    metrics.CLIENT_QUEUE_MESSAGES.labels("consumer").set(sum(one["fetchq_cnt"] for one in partitions))
    metrics.CLIENT_QUEUE_BYTES.labels("consumer").set(sum(one["fetchq_size"] for one in partitions))
    found = lags(statistics)
    for gone in _known - found.keys():
        metrics.LAG_RECORDS.remove(*gone)
    _known.clear()
    _known.update(found)
    for partition, lag in found.items():
        metrics.LAG_RECORDS.labels(*partition).set(lag)
