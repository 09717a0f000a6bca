"""Does the cluster answer, may this principal use it, and where does the consumer group stand?"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import (
    ConsumerGroupState,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from worker.doctor.finding import Finding, failed, ok, warning
from worker.errors import AuthenticationError, ExitCode, TaglineError
from worker.settings import KafkaSettings, Settings
from worker.stream.config import open_consumer, reader_config
from worker.stream.errors import error_of, kafka_error

ANSWER_TIMEOUT_S = 5.0
MOST_SKEW_S = 5.0
_AGAIN_S = 0.1
_NO_GROUP = frozenset({KafkaError.GROUP_ID_NOT_FOUND, KafkaError.COORDINATOR_NOT_AVAILABLE})
"""The second is what a cluster says that cannot keep offsets of any group so far."""
_ABOUT_TO_KNOW = frozenset({KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS})
"""What a cluster says for a moment when the first group of all is asked for, or after a restart."""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One consumer group and its committed offsets."""

    state: str
    members: int
    committed: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """(topic, partition) to the next offset to read; partitions never committed are absent."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the cluster said of itself, as far as this principal may ask."""

    cluster_id: str
    brokers: int
    config: Mapping[str, str]
    """One broker's configuration; empty when it may not be read."""
    offsets: Mapping[tuple[str, int], tuple[int, int]]
    """(topic, partition) of each input to its first offset and the one after its last."""
    newest_ahead_s: float | None
    """Newest timestamp in the inputs less this machine's clock; ``None`` when they are empty."""
    group: GroupFacts | TaglineError
    """Or why it could not be described."""


def gather(admin: AdminClient, settings: Settings, input_topics: tuple[str, ...]) -> ClusterFacts:
    """Ask the cluster. Blocks up to a few time-outs. Raises ``TaglineError`` when it does not answer or refuses."""
    try:
        metadata = admin.list_topics(timeout=ANSWER_TIMEOUT_S)
    except KafkaException as error:
        raise kafka_error(error, "asking for the cluster's metadata") from error
    partitions = [
        TopicPartition(topic, partition)
        for topic in input_topics
        if topic in metadata.topics
        for partition in metadata.topics[topic].partitions
    ]
    first, _ = _offsets(admin, partitions, OffsetSpec.earliest())
    last, _ = _offsets(admin, partitions, OffsetSpec.latest())
    _, stamped = _offsets(admin, partitions, OffsetSpec.max_timestamp())
    newest_ms = max((timestamp for timestamp in stamped.values() if timestamp > 0), default=None)
    return ClusterFacts(
        cluster_id=str(metadata.cluster_id),
        brokers=len(metadata.brokers),
        config=_broker_config(admin, next(iter(metadata.brokers), 0)),
        offsets={key: (first[key], last[key]) for key in last if key in first},
        newest_ahead_s=None if newest_ms is None else newest_ms / 1000 - time.time(),
        group=_group(admin, settings, partitions),
    )


def judge_cluster(facts: ClusterFacts, kafka: KafkaSettings) -> list[Finding]:
    """Reachable, and able to do what the settings ask for."""
    findings = []
    protocols = facts.config.get("group.coordinator.rebalance.protocols")
    if kafka.group_protocol == "consumer" and facts.config and "consumer" not in (protocols or ""):
        findings.append(
            failed(
                "broker",
                "kafka.group_protocol is `consumer`, which these brokers do not speak",
                "set it to `classic`, or upgrade the brokers to 4.0 or newer",
                ExitCode.USAGE,
            )
        )
    if facts.newest_ahead_s is not None and facts.newest_ahead_s > MOST_SKEW_S:
        findings.append(
            warning(
                "clock",
                f"the newest input is stamped {facts.newest_ahead_s:.1f} s in this machine's future",
                "run a time service (chrony, ntpd) here and where the events are made",
            )
        )
    plural = "" if facts.brokers == 1 else "s"
    return findings or [ok("broker", f"cluster {facts.cluster_id}, {facts.brokers} broker{plural}")]


def judge_group(facts: ClusterFacts, kafka: KafkaSettings) -> list[Finding]:
    """Its state, its lag, and offsets that are no longer in the topic."""
    group = facts.group
    if isinstance(group, AuthenticationError):
        return [
            warning(
                "group",
                f"{kafka.group_id} may not be described",
                "grant Describe on the group; the worker itself needs Read",
            )
        ]
    if isinstance(group, TaglineError):
        return [failed("group", group.message, group.hint, group.exit_code)]
    gone = [
        f"{topic}[{partition}] at {offset:,}, which holds {facts.offsets[topic, partition][0]:,} to "
        f"{facts.offsets[topic, partition][1]:,}"
        for (topic, partition), offset in sorted(group.committed.items())
        if (topic, partition) in facts.offsets
        and not facts.offsets[topic, partition][0] <= offset <= facts.offsets[topic, partition][1]
    ]
    if gone:
        return [
            failed(
                "group",
                f"committed offsets are out of range: {'; '.join(gone)}",
                "records were deleted before they were read, or the topic was made anew; find out, then set the offsets by hand",
                ExitCode.DATA,
            )
        ]
    lag = sum(end - group.committed.get(key, start) for key, (start, end) in facts.offsets.items())
    found = f"{kafka.group_id}: {group.state}, {group.members} member(s), lag {lag:,}"
    if lag and group.committed and not group.members:
        return [
            warning(
                "group",
                f"{found}: nobody reads what waits",
                "start `tagline run`; where workers should run, their logs say why they ended",
            )
        ]
    return [ok("group", found)]


def _offsets(
    admin: AdminClient, partitions: list[TopicPartition], spec: OffsetSpec
) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
    """Offsets and timestamps by partition; a partition that gives none is left out."""
    if not partitions:
        return {}, {}
    offsets, timestamps = {}, {}
    for partition, future in admin.list_offsets(
        {TopicPartition(p.topic, p.partition): spec for p in partitions}, request_timeout=ANSWER_TIMEOUT_S
    ).items():
        try:
            result = future.result()
        except KafkaException:
            continue  # no leader, or not allowed: the topics' own check says so
        offsets[partition.topic, partition.partition] = result.offset
        timestamps[partition.topic, partition.partition] = result.timestamp
    return offsets, timestamps


def _broker_config(admin: AdminClient, broker: int) -> dict[str, str]:
    resource = ConfigResource(ResourceType.BROKER, str(broker))
    try:
        entries = admin.describe_configs([resource], request_timeout=ANSWER_TIMEOUT_S)[resource].result()
    except KafkaException:
        return {}  # a least-privilege principal may not ask; the checks that need it are left out
    return {name: entry.value for name, entry in entries.items() if entry.value is not None}


def _group(
    admin: AdminClient, settings: Settings, partitions: list[TopicPartition]
) -> GroupFacts | TaglineError:
    group_id = settings.kafka.group_id
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while True:
        try:
            described = admin.describe_consumer_groups([group_id], request_timeout=ANSWER_TIMEOUT_S)[
                group_id
            ].result()
            committed = _committed(settings, partitions)
        except KafkaException as error:
            code = error_of(error).code()
            if code in _ABOUT_TO_KNOW and time.monotonic() < deadline:
                time.sleep(_AGAIN_S)
            elif code in _NO_GROUP:
                return GroupFacts("not there yet", 0)
            else:
                return kafka_error(error, f"asking for the group {group_id}")
        else:
            dead = described.state is ConsumerGroupState.DEAD
            state = "not there yet" if dead else described.state.name.lower()
            return GroupFacts(state, len(described.members), committed)


def _committed(settings: Settings, partitions: list[TopicPartition]) -> dict[tuple[str, int], int]:
    """What the group has committed, asked by a consumer that joins nothing.

    The admin client's own question ends the process with a segmentation fault when the group's coordinator has just moved to
    another broker (librdkafka issue 5040).
    """
    if not partitions:
        return {}
    # what stands there now, also while a transaction is open that will change it
    config = reader_config(settings, settings.kafka.group_id) | {"isolation.level": "read_uncommitted"}
    consumer = open_consumer(config)
    try:
        found = consumer.committed(partitions, timeout=ANSWER_TIMEOUT_S)
    finally:
        consumer.close()
    if refusal := next((one.error for one in found if one.error is not None), None):
        raise KafkaException(refusal)
    return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}
