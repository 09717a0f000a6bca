"""kill -9 at each point of a record's path, in both delivery modes: a successor finishes the work, and nothing is lost."""

import signal
from pathlib import Path

import pytest

from tests.integration.arena import Arena
from tests.integration.fake_worker import PATH
from tests.integration.judge import duplicates, judge, offsets_are_not_ahead

pytestmark = [pytest.mark.integration, pytest.mark.faults]

RECORDS = 240
WINDOW = 20
MOST_IN_FLIGHT = 100
CALLS_BEFORE = {"after parse": 90}
"""This one is called once a record, the others once a micro-batch."""
OUTPUTS_OF_A_REVIEW = 3


CASES = [
    (mode, point)
    for mode in ("at_least_once", "exactly_once")
    for point in PATH
    if mode == "exactly_once" or point != "after the end of the transaction"
]


@pytest.mark.parametrize(("mode", "point"), CASES)
def test_a_killed_worker_s_records_are_done_by_its_successor(
    arena: Arena, mode: str, point: str, tmp_path: Path
) -> None:
    standby = tmp_path / "standby"
    standby.touch()
    settings = {
        "DELIVERY": mode,
        "WINDOW_MAX_RECORDS": str(WINDOW),
        "WINDOW_HIGH_RECORDS": str(MOST_IN_FLIGHT),
        "KAFKA_TRANSACTIONAL_ID": arena.group,  # the successor resolves its open transaction at once
        "KAFKA_SESSION_TIMEOUT_S": "1.5",
    }
    arena.feed_reviews(RECORDS)
    after = CALLS_BEFORE.get(point, 4)
    victim = arena.worker("--kill", point, "--after", str(after), "--delay", "0.01", **settings)
    arena.worker("--standby", str(standby), **settings)
    assert victim.wait() == -signal.SIGKILL
    assert f"FAULT AT {point}" in victim.log()
    offsets_are_not_ahead(arena)
    assert len(arena.outcomes()) < RECORDS, "it was killed when everything was done"

    standby.unlink()
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    judge(arena, allow_duplicates=mode == "at_least_once")
    assert duplicates(arena) <= OUTPUTS_OF_A_REVIEW * (MOST_IN_FLIGHT + after * WINDOW)
