"""A broker with TLS, passwords, client certificates and ACLs, and a cache with TLS and a password: in, kept out, and hindered."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AclBinding, ResourceType

from tests.acl_page import granted
from tests.certificates import Authority
from tests.integration.arena import Arena, WorkerProcess, listing, review
from tests.integration.judge import judge
from tests.integration.redis_faults import PrivateValkey
from tests.integration.secured_kafka import (
    OPERATOR,
    PASSWORDS,
    WORKER,
    SecuredKafka,
    secured_kafka,
)
from tests.integration.tls_front import tls_front
from worker.cli import main
from worker.contracts.topics import LISTINGS_CREATED, REVIEWS_POSTED
from worker.doctor.cache import check as check_cache
from worker.errors import ExitCode
from worker.settings import load

pytestmark = pytest.mark.integration

MODES = pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
HEARD_WITHIN_S = 1.5
"""Enough to hear a refusal. The commands wait for all of their own 5 to 30 s: somebody may mend it meanwhile."""
WRONG = "hush-hush"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """The broker, with exactly what deploy/acls.md grants, and the topics made by the operator."""
    with secured_kafka(tmp_path_factory.mktemp("secured")) as started:
        started.allow([*granted(WORKER), *granted(OPERATOR)])
        with pytest.MonkeyPatch.context() as patch:
            use(patch, started.with_password(OPERATOR))
            assert main(["topics", "create"]) == ExitCode.OK
        yield started


@pytest.fixture
def arena(kafka: SecuredKafka, tmp_path: Path) -> Iterator[Arena]:
    """It feeds and reads without hindrance, as nobody else may; its group is the one that the ACLs name."""
    made = Arena(kafka.broker.address, None, tmp_path, group="tagline")
    yield made
    made.close()


def use(patch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Let these, without ``TAGLINE_``, be the only settings of this process's commands."""
    for name in [name for name in os.environ if name.startswith("TAGLINE_")]:
        patch.delenv(name)
    for name, value in settings.items():
        patch.setenv(f"TAGLINE_{name}", value)


def feed_one_of_each(arena: Arena) -> None:
    """A review, a listing, and what is neither."""
    arena.feed_event(review(1, "good"))
    arena.feed_event(listing(1, "a chair"))
    arena.feed(REVIEWS_POSTED, b"not JSON", b"l1")
    arena.settle_feed()


def tags_what_is_fed(arena: Arena, worker: WorkerProcess) -> None:
    feed_one_of_each(arena)
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    judge(arena, allow_duplicates=False)
    assert not any(password in worker.log() for password in PASSWORDS.values())


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "certificate"])
def test_a_worker_is_let_in_by_each_mechanism(kafka: SecuredKafka, arena: Arena, mechanism: str) -> None:
    by_certificate = mechanism == "certificate"
    identity = kafka.with_certificate(WORKER) if by_certificate else kafka.with_password(WORKER, mechanism)
    tags_what_is_fed(arena, arena.worker(**identity, DELIVERY="exactly_once"))


def test_at_least_once_needs_no_transactional_id(kafka: SecuredKafka, arena: Arena) -> None:
    with kafka.without(grant_on("tagline-")) as taken:
        assert taken.restype == ResourceType.TRANSACTIONAL_ID
        tags_what_is_fed(arena, arena.worker(**kafka.with_password(WORKER, "PLAIN")))


def test_the_commands_work_with_the_documented_settings(
    kafka: SecuredKafka,
    arena: Arena,
    cache: Callable[..., str],
    server: PrivateValkey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret = tmp_path / "redis"
    secret.write_text(cache(), "utf-8")
    tags_what_is_fed(arena, arena.worker(**kafka.with_password(WORKER), REDIS_URL_FILE=str(secret)))
    assert server.client.dbsize() > 0, "the cache was written to, through TLS"

    def printed(*arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) == ExitCode.OK, capsys.readouterr()
        said = capsys.readouterr()
        assert not any(password in said.out + said.err for password in PASSWORDS.values())
        return said.out

    use(monkeypatch, kafka.with_password(OPERATOR, REDIS_URL_FILE=str(secret)))
    assert json.loads(printed("topics", "check", "--json"))["differences"] == []
    findings = json.loads(printed("doctor", "--json"))["findings"]
    assert {one["check"] for one in findings if one["level"] == "ok"} >= {
        "clients", "broker", "topics", "group", "redis"
    }  # fmt: skip
    tapped = printed("tap", "reviews.tagged.v1", "--from-beginning", "--count", "1", "--seconds", "20")
    assert json.loads(tapped)["value"]["sentiment"]["label"]
    assert "not_json" in printed("dlq", "list")
    assert "redriven" in printed("dlq", "redrive", "--reason", "not_json")


# -- kept out -----------------------------------------------------------------------------------------------------------

REFUSALS = {
    "a wrong password": "invalid credentials",
    "an authority that we do not know": "certificate verify failed",
    "a host that the certificate does not name": "name the hosts",
}


def refused(kafka: SecuredKafka, user: str, why: str) -> dict[str, str]:
    settings = kafka.with_password(user)
    if why == "a wrong password":
        del settings["KAFKA_PASSWORD_FILE"]
        return settings | {"KAFKA_PASSWORD": WRONG}
    if why == "an authority that we do not know":
        return settings | {"KAFKA_CA_FILE": str(Authority(kafka.folder, "nobody").certificate)}
    return settings | {"KAFKA_BOOTSTRAP_SERVERS": kafka.sasl_address.replace("localhost", "127.0.0.1")}


@pytest.mark.parametrize("why", REFUSALS)
def test_who_is_kept_out_is_told_why_in_time(
    kafka: SecuredKafka,
    arena: Arena,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = refused(kafka, WORKER, why)
    workers = [
        arena.worker("--connect-timeout", str(HEARD_WITHIN_S), **settings, DELIVERY=mode, KAFKA_TRANSACTION_TIMEOUT_S="2")
        for mode in ("at_least_once", "exactly_once")
    ]  # fmt: skip
    use(monkeypatch, refused(kafka, OPERATOR, why))
    for place in ("worker.stream.admin", "worker.stream.reading", "worker.doctor.kafka"):
        monkeypatch.setattr(f"{place}.ANSWER_TIMEOUT_S", HEARD_WITHIN_S)
    monkeypatch.setattr("worker.doctor.model.check", lambda _: [])
    for command in (("topics", "create"), ("doctor",), ("tap",)):
        started = time.monotonic()
        assert main(command) == ExitCode.AUTHENTICATION, capsys.readouterr()
        assert time.monotonic() - started < HEARD_WITHIN_S + 15
        told(capsys.readouterr(), why)
    for worker in workers:
        assert worker.wait(60) == ExitCode.AUTHENTICATION
        told(worker.log(), why)


def told(said: object, why: str) -> None:
    assert REFUSALS[why] in str(said)
    assert not any(secret in str(said) for secret in (WRONG, *PASSWORDS.values()))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrivateValkey]:
    """A cache that one user may use, and this test."""
    user = ("--user", "cache", "on", f">{PASSWORDS[WORKER]}", "~*", "+@all")
    started = PrivateValkey(
        *user, "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", folder=tmp_path
    )
    yield started.start()
    started.stop()


@pytest.fixture
def cache(server: PrivateValkey, kafka: SecuredKafka) -> Iterator[Callable[..., str]]:
    """``cache(password, host, authority)`` is an address of the cache behind TLS: the right one, unless told otherwise."""
    certificate = kafka.authority.issue("cache", hosts="DNS:localhost")

    with tls_front(server.port, certificate) as port:

        def address(
            password: str = PASSWORDS[WORKER],
            host: str = "localhost",
            authority: Path = kafka.authority.certificate,
        ) -> str:
            return f"rediss://cache:{password}@{host}:{port}/0?ssl_ca_certs={authority}"

        yield address


def test_the_doctor_says_why_the_cache_keeps_us_out(cache: Callable[..., str], tmp_path: Path) -> None:
    unknown = Authority(tmp_path, "nobody").certificate
    for address, why in {
        cache(password=WRONG): "invalid username-password pair",
        cache(authority=unknown): "unable to get local issuer certificate",
        cache(host="127.0.0.1"): "not valid for '127.0.0.1'",
    }.items():
        (finding,) = check_cache(load({"redis.url": address}, {}))
        assert (finding.level, finding.exit_code) == ("failed", ExitCode.AUTHENTICATION)
        assert why in finding.detail
        assert WRONG not in finding.detail
        assert PASSWORDS[WORKER] not in finding.detail


# -- hindered -----------------------------------------------------------------------------------------------------------


def grant_on(name: str) -> AclBinding:
    """The worker's grant on a topic, group or prefix of transactional ids."""
    (found,) = [one for one in granted(WORKER) if one.name == name]
    return found


@MODES
def test_an_output_topic_that_forbids_us_ends_the_worker_and_nothing_is_lost(
    kafka: SecuredKafka, arena: Arena, mode: str
) -> None:
    identity = kafka.with_password(WORKER, DELIVERY=mode)
    worker = arena.worker(**identity)
    arena.feed_reviews(20)
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    with kafka.without(grant_on("reviews.tagged.v1")):
        arena.feed_reviews(20)
        forbidden(worker, "reviews.tagged.v1")
        forbidden(arena.worker(**identity), "reviews.tagged.v1")
        assert arena.lag() == 20, "nothing of it was committed"
    worker = arena.worker(**identity)
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    judge(arena, allow_duplicates=mode == "at_least_once")


def forbidden(worker: WorkerProcess, what: str) -> None:
    assert worker.wait() == ExitCode.AUTHENTICATION
    assert what in worker.log()
    assert "deploy/acls.md" in worker.log()


@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [
        (LISTINGS_CREATED, "at_least_once", LISTINGS_CREATED),
        ("alerts.care.v1", "exactly_once", "alerts.care.v1"),
        ("tagline", "exactly_once", "GROUP_AUTHORIZATION_FAILED"),
        ("tagline-", "exactly_once", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
    ],
)
def test_each_permission_of_the_page_is_needed(
    kafka: SecuredKafka, arena: Arena, name: str, mode: str, said: str
) -> None:
    with kafka.without(grant_on(name)):
        forbidden(arena.worker(**kafka.with_password(WORKER, DELIVERY=mode)), said)


def test_a_topic_that_may_not_be_seen_is_not_called_missing(
    kafka: SecuredKafka, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, kafka.with_password(WORKER))
    with kafka.without(grant_on("alerts.care.v1")):
        for command in (("tap",), ("topics", "check")):
            assert main(command) == ExitCode.AUTHENTICATION
            assert "alerts.care.v1" in capsys.readouterr().err
