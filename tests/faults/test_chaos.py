"""A short torment in each delivery mode; `python -m tests.faults.chaos` does it at length and with other seeds."""

from pathlib import Path

import pytest

from tests.faults.chaos import KINDS, Plan, torment

pytestmark = [pytest.mark.integration, pytest.mark.faults]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_nothing_is_lost_doubled_or_reordered_while_workers_are_killed_stopped_and_terminated(
    delivery: str, tmp_path: Path
) -> None:
    plan = Plan(seed=11, events=1_500, delivery=delivery, broken=0.1, rounds=len(KINDS))  # type: ignore[arg-type] # one of the two
    verdict = torment(plan, tmp_path, print)
    assert not verdict.violations, verdict.summary()
