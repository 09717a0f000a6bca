"""The doctor's judgement of the topics: facts in, findings out."""

from dataclasses import replace

import pytest

from worker.contracts.topics import TOPICS, dead_letter_topic
from worker.doctor import topics
from worker.doctor.finding import Level
from worker.errors import ExitCode
from worker.stream.admin import PartitionState, TopicFacts


def levels(findings: list) -> set[Level]:
    return {finding.level for finding in findings}


def as_declared(replication: int = 3, in_sync: str = "2") -> dict[str, TopicFacts]:
    return {
        one.name: TopicFacts(
            one.name, one.partitions, replication, one.config() | {"min.insync.replicas": in_sync}
        )
        for one in TOPICS
    }


def with_config(name: str, **config: str) -> dict[str, TopicFacts]:
    found = as_declared()
    changed = dict(found[name].config) | {key.replace("_", "."): value for key, value in config.items()}
    return found | {name: replace(found[name], config=changed)}


def judge_topics(found: dict[str, TopicFacts], brokers: int = 3) -> list:
    return topics.judge(found, brokers, 4_000_000)


def test_topics_as_declared_are_fine_on_three_brokers_and_on_one() -> None:
    assert levels(judge_topics(as_declared())) == {Level.OK}
    assert levels(judge_topics(as_declared(replication=1, in_sync="1"), brokers=1)) == {Level.OK}


def test_a_missing_topic_fails_and_names_the_command_that_makes_it() -> None:
    found = as_declared()
    del found["reviews.tagged.v1"]
    (finding,) = judge_topics(found)

    assert (finding.level, finding.exit_code) == (Level.FAILED, ExitCode.DATA)
    assert "reviews.tagged.v1" in finding.detail
    assert "tagline topics create" in (finding.hint or "")


def test_a_compacted_topic_that_is_not_compacted_fails_but_another_retention_is_a_warning() -> None:
    assert levels(judge_topics(with_config("listings.tagged.v1", cleanup_policy="delete"))) == {Level.FAILED}
    assert levels(judge_topics(with_config("reviews.tagged.v1", retention_ms="1"))) == {Level.WARNING}


@pytest.mark.parametrize(
    ("replication", "in_sync", "word"), [(2, "1", "fewer than 3"), (3, "1", "min.insync"), (3, "3", "stops")]
)
def test_replication_that_does_not_survive_a_broker_is_a_warning(
    replication: int, in_sync: str, word: str
) -> None:
    findings = judge_topics(as_declared(replication, in_sync))
    assert levels(findings) == {Level.WARNING}
    assert word in findings[0].detail


@pytest.mark.parametrize(
    ("state", "level", "words"),
    [
        (PartitionState(True, 3, 3), Level.OK, "as declared"),
        (
            PartitionState(True, 3, 2),
            Level.WARNING,
            "away or behind of 1 of 2 partitions (reviews.posted.v1)",
        ),
        (PartitionState(True, 3, 1), Level.FAILED, "nothing is written"),
        (PartitionState(False, 3, 1), Level.FAILED, "no broker leads 1 of 2 partitions"),
        (PartitionState(False, 3, 2), Level.FAILED, "no broker leads 1 of 2 partitions"),
    ],
)
def test_what_brokers_that_are_away_mean_for_a_partition_is_said_once(
    state: PartitionState, level: Level, words: str
) -> None:
    found = as_declared()
    name = "reviews.posted.v1"
    found[name] = replace(found[name], states=[PartitionState(True, 3, 3), state])
    (finding,) = judge_topics(found)
    assert finding.level is level
    assert words in finding.detail
    assert finding.exit_code is (ExitCode.DEPENDENCY if level is Level.FAILED else ExitCode.OK)


def test_a_record_too_large_for_its_dead_letter_fails() -> None:
    letters = dead_letter_topic("listings.created.v1")
    grown = with_config("listings.created.v1", max_message_bytes="8000000")
    findings = judge_topics(grown)

    assert levels(findings) == {Level.FAILED}
    assert any(letters in finding.detail for finding in findings)
    assert any("kafka.message_max_bytes" in finding.detail for finding in findings)
