"""Topics as declared against topics as found, without a cluster."""

from dataclasses import replace
from typing import Any

import pytest

from worker.contracts.topics import TOPICS, TopicDeclaration
from worker.stream.admin import Difference, TopicFacts, differences, with_partitions

DECLARED = TOPICS[0]


def facts(declared: TopicDeclaration, **changes: Any) -> TopicFacts:
    config = {"segment.bytes": "1", **declared.config(), **changes.pop("config", {})}
    return replace(TopicFacts(declared.name, declared.partitions, 1, config), **changes)


def found(declared: TopicDeclaration, **changes: Any) -> dict[str, TopicFacts]:
    return {declared.name: facts(declared, **changes)}


@pytest.mark.parametrize("declared", TOPICS, ids=[one.name for one in TOPICS])
def test_a_topic_as_declared_does_not_differ(declared: TopicDeclaration) -> None:
    assert differences([declared], found(declared), partitions=declared.partitions) == []


def test_a_missing_topic_differs() -> None:
    assert differences([DECLARED], {}) == [Difference(DECLARED.name, "topic", "exists", None)]


@pytest.mark.parametrize(
    ("name", "value"), [("cleanup.policy", "compact"), ("retention.ms", "1"), ("max.message.bytes", "1000")]
)
def test_a_property_with_another_value_differs(name: str, value: str) -> None:
    (one,) = differences([DECLARED], found(DECLARED, config={name: value}))
    assert one == Difference(DECLARED.name, name, DECLARED.config()[name], value)


def test_room_for_larger_messages_is_as_good() -> None:
    assert differences([DECLARED], found(DECLARED, config={"max.message.bytes": "99000000"})) == []


def test_the_number_of_partitions_counts_only_when_it_was_asked_for() -> None:
    three = found(DECLARED, partitions=3)
    assert differences([DECLARED], three) == []
    assert differences([DECLARED], three, partitions=6) == [Difference(DECLARED.name, "partitions", "6", "3")]


def test_a_number_of_partitions_holds_for_every_topic() -> None:
    assert {one.partitions for one in with_partitions(TOPICS, 12)} == {12}
    assert with_partitions(TOPICS, None) == list(TOPICS)
