"""An arena for each test, on the stack that all share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.arena import Arena
from worker.cli import main
from worker.errors import ExitCode

_created: set[str] = set()
"""Brokers that have the product's topics."""


@pytest.fixture
def arena(bootstrap: str, redis_url: str, tmp_path: Path) -> Iterator[Arena]:
    """See :class:`Arena`. Its workers do not outlive the test."""
    if bootstrap not in _created:
        assert main(["topics", "create"]) == ExitCode.OK
        _created.add(bootstrap)
    made = Arena(bootstrap, redis_url, tmp_path)
    yield made
    made.close()
