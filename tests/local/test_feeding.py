"""`tagline local feed` on a real broker."""

import os
import signal
import subprocess
import sys

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.conftest import wait_for_leaders
from worker.cli import main
from worker.contracts.topics import INPUT_TOPICS
from worker.errors import ExitCode

pytestmark = pytest.mark.integration


@pytest.fixture
def inputs(bootstrap: str, admin: AdminClient) -> AdminClient:
    """A client of a broker that has the topics."""
    assert main(["topics", "create"]) == ExitCode.OK
    wait_for_leaders(admin, INPUT_TOPICS)
    return admin


def records_in(admin: AdminClient) -> int:
    known = admin.list_topics(timeout=10).topics
    wanted = {
        TopicPartition(topic, number): OffsetSpec.latest()
        for topic in INPUT_TOPICS
        for number in known[topic].partitions
    }
    return sum(future.result().offset for future in admin.list_offsets(wanted).values())


def test_it_sends_as_many_as_asked(inputs: AdminClient, capsys: pytest.CaptureFixture[str]) -> None:
    before = records_in(inputs)
    assert main(["local", "feed", "--rate", "1000", "--count", "250"]) == ExitCode.OK
    assert records_in(inputs) - before == 250
    assert "250 events sent" in capsys.readouterr().err


def test_told_to_stop_it_ends_in_order_and_says_how_many_it_sent(inputs: AdminClient) -> None:
    before = records_in(inputs)
    feeding = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "local", "feed", "--rate", "200"],
        env=os.environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    while records_in(inputs) == before:
        assert feeding.poll() is None
    feeding.send_signal(signal.SIGTERM)
    _, said = feeding.communicate(timeout=30)
    assert feeding.returncode == ExitCode.OK, said
    assert f"{records_in(inputs) - before} events sent" in said
