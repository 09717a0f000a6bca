"""An arena for each test, on the stack that all share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.conftest import wait_for_leaders
from tests.integration.arena import Arena
from worker.cli import main
from worker.contracts.topics import TOPICS
from worker.errors import ExitCode

_created: set[str] = set()
"""Brokers that have the product's topics."""


@pytest.fixture
def arena(bootstrap: str, admin: AdminClient, redis_url: str, tmp_path: Path) -> Iterator[Arena]:
    """See :class:`Arena`. Its workers do not outlive the test."""
    if bootstrap not in _created:
        assert main(["topics", "create"]) == ExitCode.OK
        wait_for_leaders(admin, [topic.name for topic in TOPICS])
        _created.add(bootstrap)
    made = Arena(bootstrap, redis_url, tmp_path)
    yield made
    made.close()
