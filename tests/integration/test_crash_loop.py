"""A record that kills the process: found out by the journal, given up after four lives, its neighbours tagged."""

import signal
from pathlib import Path

import pytest

from tests.integration.arena import Arena, review
from tests.integration.judge import duplicates, judge
from worker.contracts.deadletter import read_dead_letter
from worker.contracts.topics import REVIEWS_POSTED
from worker.errors import ExitCode
from worker.stream.journal import LIVES, open_journal

pytestmark = [pytest.mark.integration, pytest.mark.faults]

KILLER = "KILLER"


@pytest.mark.parametrize(
    ("mode", "way", "end", "said"),
    [
        ("at_least_once", "--killer", -signal.SIGKILL, "KILLED"),
        ("exactly_once", "--killer", -signal.SIGKILL, "KILLED"),
        ("at_least_once", "--breaker", ExitCode.MODEL, "BROKEN"),
    ],
    ids=["at_least_once", "exactly_once", "by breaking the device"],
)
def test_a_record_that_kills_the_process_is_quarantined_after_four_lives(
    arena: Arena, mode: str, way: str, end: int, said: str, tmp_path: Path
) -> None:
    settings = {
        "DELIVERY": mode,
        "WINDOW_MAX_RECORDS": "20",
        "KAFKA_SESSION_TIMEOUT_S": "1.5",
        "KAFKA_TRANSACTIONAL_ID": arena.group,
        "LIMITS_CRASH_JOURNAL": str(tmp_path / "state" / "journal"),
    }
    for number in range(120):
        arena.feed_event(review(number, f"review {number}"))
    arena.settle_feed()
    arena.feed_event(review(120, f"a {KILLER}"))
    arena.settle_feed()
    killer = arena.fed[-1]
    for number in range(121, 240):
        arena.feed_event(review(number, f"review {number}"))
    arena.settle_feed()

    company = []
    for _ in range(LIVES):
        victim = arena.worker(way, KILLER, "--delay", "0.005", **settings)
        assert victim.wait() == end
        company.append(int(victim.log().partition(f"{said} BY ONE OF ")[2].split()[0]))
    assert company[0] > 1, "it was alone from the beginning: nothing was to be found out"
    assert company[1] > 1, "whoever was at work at one death is tried together"
    assert company[2:] == [1] * (LIVES - 2)

    survivor = arena.worker(way, KILLER, **settings)
    outcomes = arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert survivor.stop() == ExitCode.OK
    judge(arena, allow_duplicates=mode == "at_least_once")
    dead = {source: found for source, found in outcomes.items() if found[0].topic.endswith(".dlq.v1")}
    assert dead.keys() == {killer}
    letter = read_dead_letter(list(dead[killer][0].headers.items()))
    assert letter is not None
    assert (letter.reason, letter.stage, letter.topic) == ("quarantined", "intake", REVIEWS_POSTED)
    assert KILLER.encode() in (dead[killer][0].value or b""), "the original is not there"
    with open_journal(tmp_path / "state" / "journal") as journal:
        assert not journal.suspicious


def test_workers_that_somebody_kills_quarantine_nothing(arena: Arena, tmp_path: Path) -> None:
    settings = {
        "WINDOW_MAX_RECORDS": "20",
        "KAFKA_SESSION_TIMEOUT_S": "1.5",
        "LIMITS_CRASH_JOURNAL": str(tmp_path / "journal"),
    }
    arena.feed_reviews(600)
    for _ in range(LIVES + 1):
        victim = arena.worker("--delay", "0.02", "--kill", "during forward", "--after", "3", **settings)
        assert victim.wait() == -signal.SIGKILL
    last = arena.worker(**settings)
    outcomes = arena.wait_for_outcomes()
    assert last.stop() == ExitCode.OK
    assert not [found for found in outcomes.values() if found[0].topic.endswith(".dlq.v1")]
    judge(arena, allow_duplicates=True)
    assert duplicates(arena) > 0, "no life was lost in mid-work"
