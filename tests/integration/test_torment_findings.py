"""What the torment of `tests/faults` found, reduced to the one moment that it needs."""

import signal
import time

import pytest

from tests.integration.arena import Arena
from worker.errors import ExitCode

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SESSION_S = 2.5
"""Of the arena's workers."""


def test_a_worker_that_leaves_while_the_group_rebalances_drains_and_ends_well(arena: Arena) -> None:
    """The client assigns once more while it closes, and answers no look-up of offsets by then."""
    small = {"WINDOW_MAX_RECORDS": "64"}
    silent, leaving = (arena.worker("--delay", "1", **small) for _ in range(2))
    for worker in (silent, leaving):
        worker.wait_for_log("partitions assigned")
    arena.worker("--delay", "0", **small).wait_for_log("partitions assigned")
    arena.feed_reviews(3_000)
    silent.send(signal.SIGSTOP)
    time.sleep(SESSION_S - 1)
    # Its drain takes some four seconds; the silent member's session ends within them, and the group rebalances.
    leaving.send(signal.SIGTERM)
    assert leaving.wait(30) == ExitCode.OK
    silent.kill()
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
