"""`start_from=latest`: the group's beginning stands from its first assignment on, whatever becomes of the worker then."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.arena import Arena, WorkerProcess
from tests.integration.judge import committed_now, judge
from worker.errors import ExitCode

pytestmark = [pytest.mark.integration, pytest.mark.faults]

COUNT = 40


@pytest.fixture
def new_group(arena: Arena, tmp_path: Path) -> Iterator[Arena]:
    """An arena whose group has committed nothing, on topics that hold what is to be skipped."""
    arena.feed_reviews(COUNT)
    made = Arena(arena.bootstrap, arena.redis_url, tmp_path, begun=False)
    yield made
    made.close()


def latest(arena: Arena, *arguments: str, **settings: str) -> WorkerProcess:
    """A worker of its group."""
    return arena.worker(*arguments, KAFKA_START_FROM="latest", **settings)


@pytest.mark.parametrize(("how", "code"), [("kill", -signal.SIGKILL), ("terminate", ExitCode.OK)])
def test_a_beginning_outlives_the_roll_back_of_the_first_transaction(
    new_group: Arena, how: str, code: int
) -> None:
    """The first transaction is rolled back, and the process ends before it knows where to read again."""
    point = "after a roll-back"
    worker = latest(
        new_group,
        *("--time-out", "between acknowledgement and commit", f"--{how}", point),
        DELIVERY="exactly_once",
    )
    worker.wait_for_log("partitions assigned")
    new_group.feed_reviews(COUNT)
    assert worker.wait() == code
    assert f"FAULT AT {point}" in worker.log()
    assert "transaction rolled back" in worker.log()
    assert "reading again" not in worker.log(), "too late: the rewind came first"
    new_group.feed_reviews(COUNT)  # while nobody reads
    latest(new_group, DELIVERY="exactly_once")
    new_group.wait_for_outcomes()
    judge(new_group)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_zombie_that_wakes_up_commits_no_beginning(new_group: Arena, protocol: str) -> None:
    """It looked the end up, slept, and the group went on: its beginning would take the group back."""
    point = "before a beginning is committed"
    zombie = latest(new_group, "--stop", point, KAFKA_GROUP_PROTOCOL=protocol)
    zombie.wait_for_log(f"FAULT AT {point}")
    heir = latest(new_group, KAFKA_GROUP_PROTOCOL=protocol, DELIVERY="exactly_once")
    heir.wait_for_log("partitions assigned")
    ends = wait_for_beginnings(new_group)
    new_group.feed_reviews(COUNT)
    new_group.wait_for_outcomes()
    new_group.wait_for_no_lag()
    assert heir.stop() == ExitCode.OK  # it commits nothing more: what stands next was the zombie's doing
    done = committed_now(new_group)
    assert done != ends
    zombie.send(signal.SIGCONT)
    zombie.wait_for_log("offsets not committed")
    assert committed_now(new_group) == done
    assert zombie.stop() == ExitCode.OK
    assert committed_now(new_group) == done
    judge(new_group)


def wait_for_beginnings(arena: Arena) -> dict[tuple[str, int], int]:
    """The offsets that are committed once every partition has one."""
    arena.wait(lambda: min(arena.committed().values()) >= 0, 30, "partitions without a beginning")
    return arena.committed()
