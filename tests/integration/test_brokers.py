"""Three brokers, of which the one that matters most is killed while a worker tags."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.arena import Arena
from tests.integration.cluster import Cluster, three_brokers
from tests.integration.judge import judge
from worker.contracts.topics import RANKING_SIGNALS, REVIEWS_POSTED, TOPICS
from worker.doctor import topics
from worker.doctor.finding import Level
from worker.errors import ExitCode
from worker.stream.admin import look

pytestmark = [pytest.mark.integration, pytest.mark.faults]

RECORDS = 1_500


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests here."""
    with three_brokers(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.mark.timeout(400)
@pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
def test_a_broker_that_is_killed_leaves_its_work_to_the_others_and_costs_only_time(
    cluster: Cluster, tmp_path: Path, mode: str
) -> None:
    cluster.start_what_is_away()
    victim = cluster.leaders(REVIEWS_POSTED)[0]
    # Names whose coordinator it is: then one broker leads inputs and outputs, keeps the group and its transactions.
    names = [f"{mode}-{number}" for number in range(40)]
    group = next(name for name in names if cluster.group_coordinator(name) == victim)
    identity = next(name for name in names if cluster.transaction_coordinator(name) == victim)
    arena = Arena(cluster.bootstrap, None, tmp_path, group=group)
    try:
        arena.feed_reviews(RECORDS)
        worker = arena.worker(
            *("--delay", "0.05"), DELIVERY=mode, WINDOW_MAX_RECORDS="20", KAFKA_TRANSACTIONAL_ID=identity
        )
        arena.wait(lambda: len(arena.outcomes()) > 100, 60, "the worker did not begin")
        assert victim in cluster.leaders(RANKING_SIGNALS).values()
        cluster.kill(victim)
        assert len(arena.outcomes()) < RECORDS - 300, "there was nothing left to do"
        arena.wait_for_outcomes(120)
        arena.wait_for_no_lag(60)
        assert victim not in cluster.leaders(REVIEWS_POSTED).values()
        assert cluster.group_coordinator(group) != victim
        assert cluster.transaction_coordinator(identity) != victim
        (finding,) = topics.judge(look(cluster.admin, [topic.name for topic in TOPICS]), 3, 4_000_000)
        assert (finding.level, "away or behind" in finding.detail) == (Level.WARNING, True)
        assert worker.stop() == ExitCode.OK
        judge(arena, allow_duplicates=mode == "at_least_once")
    finally:
        arena.close()
