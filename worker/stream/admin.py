"""Topics as they should be against topics as they are: create, compare, alter.

``differences`` is pure; the other functions ask the cluster, block up to a few time-outs and raise ``TaglineError`` when
it does not answer or refuses.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from worker.contracts.topics import TopicDeclaration
from worker.errors import DependencyError
from worker.stream.errors import error_of, kafka_error

ANSWER_TIMEOUT_S = 15.0
KNOWN_POLL_S = 0.05
AT_LEAST = frozenset({"max.message.bytes"})
"""Properties of which more than declared is as good."""


class PartitionState(NamedTuple):
    """Whether a partition can be used now."""

    led: bool
    replicas: int
    in_sync: int


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """One topic as the cluster has it."""

    name: str
    partitions: int
    replication: int
    """Replicas of its first partition."""
    config: Mapping[str, str]
    states: Sequence[PartitionState] = ()


class Difference(NamedTuple):
    """One property that is not as declared. ``found`` is None when the topic itself is missing."""

    topic: str
    property: str
    declared: str
    found: str | None


class Created(NamedTuple):
    """What ``create`` did, by topic name."""

    made: list[str]
    existed: list[str]


def with_partitions(declared: Sequence[TopicDeclaration], partitions: int | None) -> list[TopicDeclaration]:
    """The declarations, each with ``partitions`` if a number is given."""
    return [one if partitions is None else replace(one, partitions=partitions) for one in declared]


def look(admin: AdminClient, names: Sequence[str]) -> dict[str, TopicFacts]:
    """Those of the topics that exist, with their configuration."""
    try:
        found = admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics
    except KafkaException as error:
        raise kafka_error(error, "asking for the topics") from error
    existing = [name for name in names if name in found and found[name].error is None]
    _require_told(admin, [name for name in names if name not in existing])
    if not existing:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in existing]
    configs = admin.describe_configs(resources, request_timeout=ANSWER_TIMEOUT_S)
    facts = {}
    for resource, future in configs.items():
        name = resource.name
        try:
            entries = future.result()
        except KafkaException as error:
            raise kafka_error(error, f"reading the configuration of {name}") from error
        partitions = found[name].partitions
        facts[name] = TopicFacts(
            name,
            len(partitions),
            len(partitions[min(partitions)].replicas),
            {key: entry.value for key, entry in entries.items() if entry.value is not None},
            [
                PartitionState(one.leader >= 0, len(one.replicas), len(one.isrs))
                for one in partitions.values()
            ],
        )
    return facts


def _require_told(admin: AdminClient, missing: Sequence[str]) -> None:
    """Brokers leave out of their list what this principal may not describe; asked by name, they say so."""
    if not missing:
        return
    asked = admin.describe_topics(TopicCollection(list(missing)), request_timeout=ANSWER_TIMEOUT_S)
    for name, future in asked.items():
        try:
            future.result()
        except KafkaException as error:
            if error_of(error).code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise kafka_error(error, f"asking for {name}") from error


def differences(
    declared: Sequence[TopicDeclaration], found: Mapping[str, TopicFacts], *, partitions: int | None = None
) -> list[Difference]:
    """What is not as declared.

    The number of partitions is the operator's choice, so it is compared only when ``partitions`` says what was chosen.
    """
    differing = []
    for one in declared:
        facts = found.get(one.name)
        if facts is None:
            differing.append(Difference(one.name, "topic", "exists", None))
            continue
        if partitions is not None and facts.partitions != partitions:
            differing.append(Difference(one.name, "partitions", str(partitions), str(facts.partitions)))
        for name, value in one.config().items():
            has = facts.config.get(name, "")
            if has == value or (name in AT_LEAST and has.isdigit() and int(has) >= int(value)):
                continue
            differing.append(Difference(one.name, name, value, has))
    return differing


def create(
    admin: AdminClient, declared: Sequence[TopicDeclaration], *, replication: int | None = None
) -> Created:
    """Create those that are missing; those that exist are left as they are. Safe to repeat and to race.

    ``replication`` is the broker's default when not given. Returns once every partition has a leader that answers, so
    whoever comes next can use the topics at once.
    """
    try:
        # Creating would take a refusal for a broker that is away.
        admin.list_topics(timeout=ANSWER_TIMEOUT_S)
    except KafkaException as error:
        raise kafka_error(error, "asking for the topics") from error
    topics = [
        NewTopic(one.name, one.partitions, -1 if replication is None else replication, config=one.config())
        for one in declared
    ]
    created = Created([], [])
    for name, future in admin.create_topics(
        topics, request_timeout=ANSWER_TIMEOUT_S, operation_timeout=ANSWER_TIMEOUT_S
    ).items():
        try:
            future.result()
        except KafkaException as error:
            if error_of(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise kafka_error(error, f"creating {name}") from error
            created.existed.append(name)
        else:
            created.made.append(name)
    _wait_until_known(admin, created.made)
    return created


def _wait_until_known(admin: AdminClient, names: Sequence[str]) -> None:
    """The controller answers before the brokers have heard of a new topic, or know that they lead its partitions."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            found = admin.list_topics(timeout=ANSWER_TIMEOUT_S).topics
        except KafkaException as error:
            raise kafka_error(error, "asking for the topics") from error
        if all(name in found and found[name].error is None and found[name].partitions for name in names):
            wanted = {
                TopicPartition(name, number): OffsetSpec.latest()
                for name in names
                for number in found[name].partitions
            }
            answers = admin.list_offsets(wanted, request_timeout=ANSWER_TIMEOUT_S)
            if all(future.exception() is None for future in answers.values()):
                return
        time.sleep(KNOWN_POLL_S)
    raise DependencyError(
        "the brokers do not know the new topics yet", hint="Run `tagline topics check` in a moment."
    )


def alter(admin: AdminClient, differing: Sequence[Difference]) -> list[Difference]:
    """Make existing topics as declared and return what cannot be: partitions can be added but never taken away."""
    left = []
    settings: dict[str, list[ConfigEntry]] = {}
    for one in differing:
        if one.found is None:
            left.append(one)
        elif one.property != "partitions":
            entry = ConfigEntry(one.property, one.declared, incremental_operation=AlterConfigOpType.SET)
            settings.setdefault(one.topic, []).append(entry)
        elif int(one.found) > int(one.declared):
            left.append(one)
        else:
            _add_partitions(admin, one.topic, int(one.declared))
    resources = [
        ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        for topic, entries in settings.items()
    ]
    if resources:
        for resource, future in admin.incremental_alter_configs(
            resources, request_timeout=ANSWER_TIMEOUT_S
        ).items():
            try:
                future.result()
            except KafkaException as error:
                raise kafka_error(error, f"configuring {resource.name}") from error
    return left


def _add_partitions(admin: AdminClient, topic: str, count: int) -> None:
    futures = admin.create_partitions([NewPartitions(topic, count)], request_timeout=ANSWER_TIMEOUT_S)
    try:
        futures[topic].result()
    except KafkaException as error:
        raise kafka_error(error, f"adding partitions to {topic}") from error
