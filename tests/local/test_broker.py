"""What is said of a Kafka that does not come up: never to delete anything where it is merely slow."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from worker.errors import DependencyError
from worker.local import broker, ports, process
from worker.local.broker import Broker
from worker.local.process import Started

Play = Callable[[str], Started]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Start a process that stands for Kafka's and runs this code."""
    running: list[Started] = []

    def start(code: str) -> Started:
        command = [sys.executable, "-c", code]
        running.append(process.start(command, output=tmp_path / "broker.out", environment=os.environ))
        return running[-1]

    yield start
    for started in running:
        process.kill(started)


@pytest.fixture
def server(tmp_path: Path) -> Broker:
    return Broker(tmp_path, ports.find_free(frozenset()), 0, "cluster")


def test_a_kafka_that_is_slow_is_waited_for_and_nobody_is_told_to_delete_its_data(
    server: Broker, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "_STILL_WAITING_S", 0.1)
    said: list[str] = []
    with pytest.raises(DependencyError, match="runs, but did not answer within 2 s") as raised:
        server.wait_until_answering(play("import time; time.sleep(60)"), said.append, timeout_s=2)
    assert said
    assert "does not answer yet" in said[0]
    assert "`tagline local up`" in str(raised.value.hint)
    assert "--wipe" not in str(raised.value.hint)


def test_a_kafka_that_ended_is_not_waited_for_and_its_data_is_only_suspected(
    server: Broker, play: Play
) -> None:
    with pytest.raises(
        DependencyError, match=r"ended while starting. Its last words:\n  no memory"
    ) as raised:
        server.wait_until_answering(play("print('no memory')"))
    assert "only if what is kept" in str(raised.value.hint)


def test_data_of_another_version_is_called_so(server: Broker, play: Play, tmp_path: Path) -> None:
    (tmp_path / "broker.log").write_text(  # what Kafka 4.3.1 says of a level that it does not know
        "Caused by: java.lang.IllegalArgumentException: No MetadataVersion with feature level 90. Valid feature levels are from "
        "7 to 31.\n\tat org.apache.kafka.server.common.MetadataVersion.fromFeatureLevel(MetadataVersion.java:383)\n\t... 9 more\n"
    )
    with pytest.raises(DependencyError, match="ended while starting") as raised:
        server.wait_until_answering(play(""))
    assert "another version of Kafka has written" in str(raised.value.hint)
    assert "KAFKA_HOME" in str(raised.value.hint)
