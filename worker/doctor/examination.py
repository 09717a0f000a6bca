"""The table of checks, and the run through it."""

from collections.abc import Callable, Iterator
from functools import cached_property

from worker.contracts.topics import INPUT_TOPICS
from worker.doctor import cache, clients, kafka, model, timing, topics, versions
from worker.doctor.finding import Finding, failed, skipped
from worker.errors import DependencyError, TaglineError
from worker.settings import Settings
from worker.stream.config import admin_config, open_admin


class Examination:
    """What the checks share: the settings, and the cluster's facts, which are asked for once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def cluster(self) -> kafka.ClusterFacts | TaglineError:
        """The cluster's facts, or why there are none. Blocks for some seconds the first time."""
        try:
            with open_admin(admin_config(self.settings)) as admin:
                return kafka.gather(admin, self.settings, INPUT_TOPICS)
        except TaglineError as error:
            return error


Check = Callable[[Examination], list[Finding]]


def _versions(_: Examination) -> list[Finding]:
    return versions.judge(versions.installed())


def _model(examination: Examination) -> list[Finding]:
    return model.check(examination.settings.model)


def _clients(examination: Examination) -> list[Finding]:
    return clients.check_kafka(examination.settings)


def _broker(examination: Examination) -> list[Finding]:
    facts = examination.cluster
    if isinstance(facts, DependencyError):
        hint = (
            "is Kafka up at kafka.bootstrap_servers, and does it speak kafka.security_protocol there? `tagline local up` starts one on this machine; "
            'eval "$(tagline local env)" points a shell at it'
        )
        return [failed("broker", facts.message, hint, facts.exit_code)]
    if isinstance(facts, TaglineError):
        return [_from_error("broker", facts)]
    return kafka.judge_cluster(facts, examination.settings.kafka)


def _topics(examination: Examination) -> list[Finding]:
    facts = examination.cluster
    if isinstance(facts, TaglineError):
        return [skipped("topics", "the broker was not reached, or refused")]
    return topics.check(examination.settings, facts.brokers)


def _group(examination: Examination) -> list[Finding]:
    if isinstance(examination.cluster, TaglineError):
        return [skipped("group", "the broker was not reached, or refused")]
    return kafka.judge_group(examination.cluster, examination.settings.kafka)


def _redis(examination: Examination) -> list[Finding]:
    return cache.check(examination.settings)


def _timing(examination: Examination) -> list[Finding]:
    facts = examination.cluster
    return timing.judge(examination.settings, {} if isinstance(facts, TaglineError) else facts.config)


CHECKS: dict[str, Check] = {
    "versions": _versions,
    "model": _model,
    "clients": _clients,
    "broker": _broker,
    "topics": _topics,
    "group": _group,
    "redis": _redis,
    "time-outs": _timing,
}
"""In the order in which a fault of one would explain the next."""


def examine(settings: Settings, checks: dict[str, Check] | None = None) -> Iterator[Finding]:
    """Run every check and yield its findings as they come. Never raises a ``TaglineError``; it becomes a finding."""
    examination = Examination(settings)
    for name, check in (checks or CHECKS).items():
        try:
            yield from check(examination)
        except TaglineError as error:
            yield _from_error(name, error)


def _from_error(check: str, error: TaglineError) -> Finding:
    return failed(check, error.message, error.hint, error.exit_code)
