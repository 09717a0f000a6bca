"""`tagline tap` on a real broker: it sees what is committed, and leaves no trace."""

import json
import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from worker.cli import main
from worker.contracts.topics import RANKING_SIGNALS
from worker.errors import ExitCode

pytestmark = pytest.mark.integration


@pytest.fixture
def key(bootstrap: str) -> str:
    """A key with three events: two committed, one aborted between them."""
    main(["topics", "create"])
    key = f"L-{uuid.uuid4().hex[:8]}"
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": key})
    producer.init_transactions(10)
    for number, commit in ((1, True), (2, False), (3, True)):
        producer.begin_transaction()
        producer.produce(RANKING_SIGNALS, json.dumps({"listing_id": key, "n": number}).encode(), key.encode())
        producer.commit_transaction(10) if commit else producer.abort_transaction(10)
    producer.close()
    return key


def lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["tap", *arguments]) == ExitCode.OK
    return [json.loads(line)["value"] for line in capsys.readouterr().out.splitlines()]


def test_it_prints_committed_events_as_json_lines_when_not_a_terminal(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = lines(capsys, RANKING_SIGNALS, "--from-beginning", "--filter", f"key={key}", "--seconds", "3")
    assert [one["n"] for one in seen] == [1, 3]


def test_it_ends_after_the_count_and_filters_by_field(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--filter", f"listing_id={key}", "--filter", "n=3"]
    assert [one["n"] for one in lines(capsys, "--from-beginning", "--count", "1", *wanted)] == [3]


def test_without_from_beginning_it_shows_only_what_comes_from_now_on(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines(capsys, "--filter", f"key={key}", "--seconds", "1.5") == []


def test_it_leaves_no_consumer_group_behind(key: str, bootstrap: str) -> None:
    main(["tap", "--seconds", "0.5"])
    with AdminClient({"bootstrap.servers": bootstrap}) as admin:
        groups = admin.list_consumer_groups().result().valid
    assert "tagline-tap" not in {group.group_id for group in groups}


def test_a_topic_that_does_not_exist_ends_with_the_code_for_data(bootstrap: str) -> None:
    assert main(["tap", "no.such.topic.v1", "--seconds", "1"]) == ExitCode.DATA
