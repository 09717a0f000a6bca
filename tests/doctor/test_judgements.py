"""The pure half of the doctor: facts in, findings out."""

from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace

import pytest
from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException
from pydantic import SecretStr

from worker.doctor import cache, clients, kafka, timing, versions
from worker.doctor.cache import CacheFacts
from worker.doctor.finding import Finding, Level, failed, ok, warning, worst_exit_code
from worker.doctor.kafka import ClusterFacts, GroupFacts
from worker.errors import ExitCode
from worker.settings import KafkaSettings, LimitSettings, RedisSettings, Settings

GOOD_VERSIONS = {
    "python": "3.11.7",
    "torch": "2.15.0+cpu",
    "transformers": "5.23.0",
    "confluent-kafka": "2.16.1",
    "redis": "8.1.0",
}
GOOD_CACHE = CacheFacts("9.1.2", "allkeys-lru", 256_000_000, 2_000_000, False, False, 0.4, 0.01)
INPUT = ("listings.created.v1", 0)
GOOD_CLUSTER = ClusterFacts(
    cluster_id="c",
    brokers=3,
    config={
        "transaction.max.timeout.ms": "900000",
        "group.min.session.timeout.ms": "6000",
        "group.max.session.timeout.ms": "1800000",
        "message.max.bytes": "1048588",
        "group.coordinator.rebalance.protocols": "classic,consumer,streams",
    },
    offsets={INPUT: (100, 500)},
    newest_ahead_s=-3.0,
    group=GroupFacts("stable", 2, {INPUT: 450}),
)


def levels(findings: list) -> set[Level]:
    return {finding.level for finding in findings}


def test_what_was_tested_with_is_new_enough() -> None:
    assert levels(versions.judge(GOOD_VERSIONS)) == {Level.OK}


def test_what_is_installed_here_is_new_enough() -> None:
    assert levels(versions.judge(versions.installed())) == {Level.OK}


@pytest.mark.parametrize("package", sorted(versions.FLOORS))
@pytest.mark.parametrize("here", ["1.9.9", None])
def test_a_package_that_is_old_or_missing_fails_with_its_reason(package: str, here: str | None) -> None:
    (finding,) = versions.judge(GOOD_VERSIONS | {package: here})

    assert finding.level is Level.FAILED
    assert finding.exit_code is ExitCode.DEPENDENCY
    assert package in finding.detail
    assert versions.FLOORS[package][1] in finding.detail


def test_versions_compare_as_numbers_not_as_text() -> None:
    assert levels(versions.judge(GOOD_VERSIONS | {"torch": "2.9.1"})) == {Level.FAILED}
    assert levels(versions.judge(GOOD_VERSIONS | {"torch": "2.10"})) == {Level.OK}


def test_a_cache_set_up_as_advised_is_fine() -> None:
    assert levels(cache.judge(GOOD_CACHE, budget_ms=50)) == {Level.OK}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"policy": "noeviction"}, "noeviction"),
        ({"policy": "?"}, "maxmemory-policy is ?"),
        ({"max_memory_bytes": 0}, "maxmemory"),
        ({"persistent": True}, "disk"),
        ({"read_only": True}, "no writes"),
        ({"answer_ms": 40.0}, "40 ms"),
        ({"clock_ahead_s": -30.0}, "behind"),
        ({"clock_ahead_s": 30.0}, "ahead"),
    ],
)
def test_each_fault_of_a_cache_is_a_warning_with_a_hint(change: dict, word: str) -> None:
    (finding,) = cache.judge(replace(GOOD_CACHE, **change), budget_ms=50)

    assert finding.level is Level.WARNING, "the cache never stops the worker"
    assert word in finding.detail
    assert finding.hint


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random"])
def test_a_policy_that_spares_what_never_expires_is_fine_because_every_entry_of_ours_does(
    policy: str,
) -> None:
    (finding,) = cache.judge(replace(GOOD_CACHE, policy=policy), budget_ms=50)

    assert finding.level is Level.OK
    assert policy in finding.detail


def test_no_redis_is_skipped_and_a_dead_one_is_a_warning() -> None:
    assert levels(cache.check(Settings())) == {Level.SKIPPED}
    empty = Settings(redis=RedisSettings(url=SecretStr("")))
    assert levels(cache.check(empty)) == {Level.SKIPPED}, "as the worker takes it"
    dead = Settings(redis=RedisSettings(url=SecretStr("redis://127.0.0.1:1/0")))
    assert levels(cache.check(dead)) == {Level.WARNING}


def test_an_address_that_cannot_be_used_fails_and_keeps_its_password_to_itself() -> None:
    settings = Settings(redis=RedisSettings(url=SecretStr("redis://user:hush@host:port/0")))
    (finding,) = cache.check(settings)

    assert (finding.level, finding.exit_code) == (Level.FAILED, ExitCode.USAGE)
    assert "hush" not in str(finding)


def test_an_address_that_the_worker_would_refuse_fails_without_being_tried() -> None:
    settings = Settings(redis=RedisSettings(url=SecretStr("redis://:hush@127.0.0.1:1/0?socket_timeout=1")))
    (finding,) = cache.check(settings)

    assert (finding.level, finding.exit_code) == (Level.FAILED, ExitCode.USAGE)
    assert "socket_timeout cannot be set there" in finding.detail
    assert "hush" not in str(finding)


def test_a_host_that_no_resolver_takes_is_a_warning_because_the_worker_runs_without_it() -> None:
    settings = Settings(redis=RedisSettings(url=SecretStr(f"redis://:hush@{'a' * 70}/0")))
    (finding,) = cache.check(settings)

    assert finding.level is Level.WARNING
    assert "hush" not in str(finding)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"no.such.thing": "1"}, "no.such.thing"),
        ({"acks": "1"}, "acks"),
        ({"fetch.wait.max.ms": "soon"}, "fetch.wait.max.ms"),
        ({"queue.buffering.max.messages": "-1"}, "queue.buffering.max.messages"),
    ],
)
def test_options_that_the_worker_s_clients_would_refuse_fail(
    options: dict[str, str], word: str, delivery: str, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(delivery=delivery, kafka=KafkaSettings(transactional_id="t", client_options=options))
    (finding,) = clients.check_kafka(settings)

    assert (finding.check, finding.level, finding.exit_code) == ("clients", Level.FAILED, ExitCode.USAGE)
    assert word in finding.detail
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_the_default_times_fit_together(delivery: str) -> None:
    settings = Settings(delivery=delivery, kafka=KafkaSettings(transactional_id="tagline-0"))
    assert levels(timing.judge(settings, GOOD_CLUSTER.config)) == {Level.OK}
    assert levels(timing.judge(settings, {})) == {Level.OK}


@pytest.mark.parametrize(
    ("settings", "broker", "word"),
    [
        (Settings(limits=LimitSettings(drain_timeout_s=299)), {}, "drain"),
        (Settings(kafka=KafkaSettings(session_timeout_s=3)), {}, "session"),
        (Settings(kafka=KafkaSettings(session_timeout_s=3_000, max_poll_interval_s=3_000)), {}, "session"),
        (
            Settings(
                delivery="exactly_once", kafka=KafkaSettings(transactional_id="t", transaction_timeout_s=901)
            ),
            {},
            "transaction.max.timeout.ms",
        ),
    ],
)
def test_times_that_contradict_each_other_fail(settings: Settings, broker: dict, word: str) -> None:
    (finding,) = timing.judge(settings, {**GOOD_CLUSTER.config, **broker})

    assert finding.level is Level.FAILED
    assert finding.exit_code is ExitCode.USAGE
    assert word in finding.detail
    assert finding.hint


@pytest.mark.parametrize(
    ("limit", "session_s", "shown"),
    [
        ("group.min.session.timeout.ms", 3, "at least 6 s"),
        ("group.max.session.timeout.ms", 3_000, "at most 1800 s"),
    ],
)
def test_a_broker_may_tell_only_one_of_its_limits(limit: str, session_s: int, shown: str) -> None:
    settings = Settings(kafka=KafkaSettings(session_timeout_s=session_s, max_poll_interval_s=3_000))
    (finding,) = timing.judge(settings, {limit: GOOD_CLUSTER.config[limit]})

    assert finding.level is Level.FAILED
    assert shown in finding.detail


def test_exactly_once_without_a_lasting_id_is_a_warning() -> None:
    (finding,) = timing.judge(Settings(delivery="exactly_once"), GOOD_CLUSTER.config)
    assert finding.level is Level.WARNING
    assert "transactional_id" in finding.detail


def test_a_healthy_cluster_and_group_are_fine() -> None:
    settings = KafkaSettings(group_protocol="consumer")
    assert levels(kafka.judge_cluster(GOOD_CLUSTER, settings)) == {Level.OK}
    (finding,) = kafka.judge_group(GOOD_CLUSTER, settings)
    assert finding.level is Level.OK
    assert "lag 50" in finding.detail


def test_old_brokers_cannot_speak_the_new_group_protocol() -> None:
    old = replace(
        GOOD_CLUSTER, config=dict(GOOD_CLUSTER.config) | {"group.coordinator.rebalance.protocols": "classic"}
    )
    assert levels(kafka.judge_cluster(old, KafkaSettings(group_protocol="consumer"))) == {Level.FAILED}
    assert levels(kafka.judge_cluster(old, KafkaSettings(group_protocol="classic"))) == {Level.OK}


def test_inputs_from_the_future_point_at_a_clock() -> None:
    (finding,) = kafka.judge_cluster(replace(GOOD_CLUSTER, newest_ahead_s=40.0), KafkaSettings())
    assert (finding.check, finding.level) == ("clock", Level.WARNING)


@pytest.mark.parametrize("offset", [99, 501])
def test_a_committed_offset_outside_the_topic_fails_as_data(offset: int) -> None:
    (finding,) = kafka.judge_group(
        replace(GOOD_CLUSTER, group=GroupFacts("empty", 0, {INPUT: offset})), KafkaSettings()
    )
    assert finding.level is Level.FAILED
    assert finding.exit_code is ExitCode.DATA


def test_a_group_whose_members_are_gone_while_records_wait_is_a_warning() -> None:
    def judged(members: int, committed: dict[tuple[str, int], int]) -> Finding:
        group = GroupFacts("empty", members, committed)
        return kafka.judge_group(replace(GOOD_CLUSTER, group=group), KafkaSettings())[0]

    ends = {at: end for at, (_, end) in GOOD_CLUSTER.offsets.items()}
    behind = ends | {INPUT: ends[INPUT] - 1}
    assert judged(0, behind).level is Level.WARNING
    assert "lag 1: nobody reads" in judged(0, behind).detail
    assert judged(1, behind).level is Level.OK
    assert judged(0, ends).level is Level.OK


def test_a_group_that_never_committed_lags_by_all_there_is() -> None:
    (finding,) = kafka.judge_group(
        replace(GOOD_CLUSTER, group=GroupFacts("not there yet", 0)), KafkaSettings()
    )
    assert finding.level is Level.OK
    assert "lag 400" in finding.detail


class Coordinator:
    """An admin client whose coordinator answers every question about a group with one error."""

    def __init__(self, code: int) -> None:
        self._code = code

    def describe_consumer_groups(self, groups: list[str], **_: float) -> dict[str, Future[None]]:
        answer: Future[None] = Future()
        answer.set_exception(KafkaException(KafkaError(self._code)))
        return {groups[0]: answer}


@pytest.mark.parametrize(
    ("code", "level", "exit_code"),
    [
        (KafkaError.COORDINATOR_NOT_AVAILABLE, Level.OK, ExitCode.OK),
        (KafkaError.GROUP_ID_NOT_FOUND, Level.OK, ExitCode.OK),
        (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, Level.FAILED, ExitCode.DEPENDENCY),
        (KafkaError._TIMED_OUT, Level.FAILED, ExitCode.DEPENDENCY),
        (KafkaError._TRANSPORT, Level.FAILED, ExitCode.DEPENDENCY),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, Level.WARNING, ExitCode.OK),
    ],
)
def test_a_group_is_not_there_yet_only_when_the_coordinator_says_so(
    code: int, level: Level, exit_code: ExitCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "ANSWER_TIMEOUT_S", 0.3)
    group = kafka._group(Coordinator(code), Settings(), [])  # type: ignore[arg-type]  # all that is asked of it
    (finding,) = kafka.judge_group(replace(GOOD_CLUSTER, group=group), KafkaSettings())
    assert (finding.level, finding.exit_code) == (level, exit_code)
    assert ("not there yet" in finding.detail) == (level is Level.OK)


class Described(Coordinator):
    """One that describes the group; asked for its offsets, the real client may end the process, so nothing may ask it."""

    def __init__(self) -> None:
        super().__init__(KafkaError._FAIL)

    def describe_consumer_groups(self, groups: list[str], **_: float) -> dict[str, Future[SimpleNamespace]]:
        answer: Future[SimpleNamespace] = Future()
        answer.set_result(SimpleNamespace(state=ConsumerGroupState.STABLE, members=["one"]))
        return {groups[0]: answer}


def test_a_coordinator_that_moves_between_two_questions_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([KafkaException(KafkaError(KafkaError.NOT_COORDINATOR)), {INPUT: 450}])

    def committed(*_: object) -> object:
        answer = next(answers)
        if isinstance(answer, KafkaException):
            raise answer
        return answer

    monkeypatch.setattr(kafka, "_committed", committed)
    group = kafka._group(Described(), Settings(), [])  # type: ignore[arg-type]  # all that is asked of it
    assert group == GroupFacts("stable", 1, {INPUT: 450})


def test_the_first_failure_decides_the_exit_code_and_warnings_never_do() -> None:
    findings = [
        ok("a", ""),
        warning("b", "", ""),
        failed("c", "", None, ExitCode.MODEL),
        failed("d", "", None, ExitCode.DATA),
    ]
    assert worst_exit_code(findings) is ExitCode.MODEL
    assert worst_exit_code(findings[:2]) is ExitCode.OK
