"""`tagline topics` on a real broker."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from worker.cli import main
from worker.contracts.topics import ADS_SIGNALS, TOPICS
from worker.errors import ExitCode
from worker.stream.admin import look

pytestmark = pytest.mark.integration

NAMES = [one.name for one in TOPICS]


@pytest.fixture
def spoiled(bootstrap: str) -> Iterator[str]:
    """A topic whose retention somebody changed; put right again afterwards."""
    admin = AdminClient({"bootstrap.servers": bootstrap})

    def retention(value: str) -> None:
        entry = ConfigEntry("retention.ms", value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, ADS_SIGNALS, incremental_configs=[entry])
        for future in admin.incremental_alter_configs([resource]).values():
            future.result()
        deadline = time.monotonic() + 15
        while look(admin, [ADS_SIGNALS])[ADS_SIGNALS].config["retention.ms"] != value:
            assert time.monotonic() < deadline, "the broker never heard of it from the controller"

    main(["topics", "create"])
    retention("60000")
    yield ADS_SIGNALS
    retention("-1")


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_creating_twice_changes_nothing_and_the_topics_are_as_declared(
    bootstrap: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["topics", "create"]) == ExitCode.OK
    code, again = report(capsys, "topics", "create")
    assert (code, again["made"], sorted(again["existed"])) == (ExitCode.OK, [], sorted(NAMES))
    code, checked = report(capsys, "topics", "check")
    assert (code, checked["differences"]) == (ExitCode.OK, [])
    assert {one["name"] for one in checked["topics"]} == set(NAMES)


def test_a_topic_that_differs_is_named_and_only_changed_when_asked(
    bootstrap: str, spoiled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    difference = {"topic": spoiled, "property": "retention.ms", "declared": "-1", "found": "60000"}
    assert report(capsys, "topics", "check")[1]["differences"] == [difference]
    code, created = report(capsys, "topics", "create")
    assert (code, created["differences"], created["altered"]) == (ExitCode.DATA, [difference], [])
    assert main(["topics", "check"]) == ExitCode.DATA
    assert "tagline topics create --alter" in capsys.readouterr().err
    code, created = report(capsys, "topics", "create", "--alter")
    assert (code, created["differences"], created["altered"]) == (ExitCode.OK, [], [difference])
    assert main(["topics", "check"]) == ExitCode.OK


def test_a_broker_that_does_not_answer_ends_with_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAGLINE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr("worker.stream.admin.ANSWER_TIMEOUT_S", 1.0)
    assert main(["topics", "check"]) == ExitCode.DEPENDENCY
    assert "tagline doctor" in capsys.readouterr().err
