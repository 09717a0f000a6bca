"""An output that its topic takes no more, while the worker runs: it ends and says why; mended and started again, all is done."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.conftest import wait_for_leaders
from tests.integration.arena import OUTPUT_TOPICS, Arena
from tests.integration.judge import judge, offsets_are_not_ahead
from tests.integration.own_stack import stack_of_our_own
from worker.cli import main
from worker.contracts.topics import RANKING_SIGNALS
from worker.errors import ExitCode
from worker.local import broker
from worker.local.stack import KAFKA_VARIABLE

pytestmark = [pytest.mark.integration, pytest.mark.faults]

MODES = pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
REFUSED = RANKING_SIGNALS
"""Every review has one there, and none of its outcomes."""
WITH_ACLS = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",  # the broker itself and the tests, who all are User:ANONYMOUS
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that asks its ACLs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broker, "SETTINGS", {**broker.SETTINGS, **WITH_ACLS})
        with stack_of_our_own(tmp_path_factory.mktemp("guarded")) as stack:
            yield stack.bootstrap_servers()


@pytest.fixture
def its_admin(guarded: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminClient]:
    """A client of it; commands of this process find it too."""
    monkeypatch.setenv(KAFKA_VARIABLE, guarded)
    with AdminClient({"bootstrap.servers": guarded}) as client:
        yield client


@pytest.fixture
def its_arena(guarded: str, tmp_path: Path) -> Iterator[Arena]:
    """An arena there, without Redis, that does not read the topic in question."""
    arena = Arena(guarded, None, tmp_path, outputs=[topic for topic in OUTPUT_TOPICS if topic != REFUSED])
    yield arena
    arena.close()


class Refusal(NamedTuple):
    """Why a topic takes nothing more, and what the worker says of it."""

    begin: Callable[[AdminClient], None]
    mend: Callable[[AdminClient], None]
    code: ExitCode
    hint: str


def delete(admin: AdminClient) -> None:
    admin.delete_topics([REFUSED])[REFUSED].result(20)


def create_again(admin: AdminClient) -> None:
    """As the hint says."""
    assert main(["topics", "create"]) == ExitCode.OK
    wait_for_leaders(admin, [REFUSED])


def acl(operation: AclOperation, permission: AclPermissionType) -> AclBinding:
    return AclBinding(
        ResourceType.TOPIC, REFUSED, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission
    )


def forbid(admin: AdminClient) -> None:
    """Everything but to write."""
    rules = [acl(AclOperation.ALL, AclPermissionType.ALLOW), acl(AclOperation.WRITE, AclPermissionType.DENY)]
    for future in admin.create_acls(rules).values():
        future.result(20)


def permit(admin: AdminClient) -> None:
    every = AclBindingFilter(
        ResourceType.TOPIC,
        REFUSED,
        ResourcePatternType.LITERAL,
        None,
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    assert len(admin.delete_acls([every])[every].result(20)) == 2


REFUSALS = {
    "deleted": Refusal(delete, create_again, ExitCode.DATA, "tagline topics create"),
    "no permission": Refusal(forbid, permit, ExitCode.AUTHENTICATION, "deploy/acls.md"),
}


@MODES
@pytest.mark.parametrize("why", REFUSALS)
def test_a_worker_whose_output_is_refused_ends_and_loses_nothing(
    guarded: str, its_arena: Arena, its_admin: AdminClient, tmp_path: Path, why: str, mode: str
) -> None:
    arena, refusal = its_arena, REFUSALS[why]
    arena.feed_reviews(1_000)
    worker = arena.worker("--delay", "0.05", DELIVERY=mode, WINDOW_MAX_RECORDS="20")
    arena.wait(lambda: len(arena.outcomes()) > 100, 30, "the worker did not begin")
    refusal.begin(its_admin)
    try:
        assert worker.wait(120) == refusal.code
        offsets_are_not_ahead(arena)
    finally:
        refusal.mend(its_admin)
    last_words = worker.log().rpartition("\nerror: ")[2]
    assert REFUSED in last_words
    assert refusal.hint in last_words
    before = set(arena.outcomes())
    left = set(arena.fed) - before
    assert left, "it was done before its topic refused anything"
    signals = Arena(guarded, None, tmp_path, outputs=[REFUSED])
    try:
        successor = arena.worker(DELIVERY=mode)
        arena.wait_for_outcomes()
        arena.wait_for_no_lag()
        assert successor.stop() == ExitCode.OK
        signals.wait(lambda: left <= {one.source for one in signals.seen}, 30, "signals are missing")
    finally:
        signals.close()
    judge(arena, allow_duplicates=mode == "at_least_once")
