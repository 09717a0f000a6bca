"""Do the topics exist as declared, survive a broker, and hold what may be written to them?"""

from collections.abc import Callable, Mapping

from worker.contracts.topics import INPUT_TOPICS, TOPICS, dead_letter_topic
from worker.doctor.finding import Finding, failed, ok, warning
from worker.errors import ExitCode
from worker.settings import Settings
from worker.stream.admin import PartitionState, TopicFacts, differences, look
from worker.stream.config import admin_config, open_admin

DEAD_LETTER_EXTRA_BYTES = 64_000
"""Room for what a dead letter adds to its original: its headers."""
SAFE_REPLICAS = 3
MATTERS = frozenset({"topic", "cleanup.policy", "max.message.bytes"})
"""A difference in these breaks a promise; in others (retention) it may be the operator's choice."""


def judge(found: Mapping[str, TopicFacts], brokers: int, message_max_bytes: int) -> list[Finding]:
    """Compare the topics with their declaration, with the number of brokers, and with what the worker may produce."""
    findings = [
        *_as_declared(found),
        *_available(found),
        *_replicated(found, brokers),
        *_sizes(found, message_max_bytes),
    ]
    partitions = "/".join(str(found[topic].partitions) for topic in INPUT_TOPICS if topic in found)
    replication = min((facts.replication for facts in found.values()), default=0)
    summary = f"{len(found)} as declared, inputs with {partitions} partitions, replication {replication}"
    return findings or [ok("topics", summary)]


def check(settings: Settings, brokers: int) -> list[Finding]:
    """Ask and judge. Blocks for some seconds. Raises ``TaglineError`` when the cluster does not answer or refuses."""
    with open_admin(admin_config(settings)) as admin:
        found = look(admin, [declared.name for declared in TOPICS])
    return judge(found, brokers, settings.kafka.message_max_bytes)


def _as_declared(found: Mapping[str, TopicFacts]) -> list[Finding]:
    differing = differences(TOPICS, found)
    missing = [one.topic for one in differing if one.found is None]
    findings = []
    if missing:
        hint = "`tagline topics create`, or check kafka.bootstrap_servers: is it this cluster?"
        findings.append(failed("topics", f"missing: {', '.join(missing)}", hint, ExitCode.DATA))
    for one in differing:
        if one.found is None:
            continue
        detail = f"{one.topic}: {one.property} is {one.found or 'not set'}, declared {one.declared}"
        hint = "`tagline topics create --alter` makes it as declared"
        if one.property in MATTERS:
            findings.append(failed("topics", detail, hint, ExitCode.DATA))
        else:
            findings.append(warning("topics", detail, f"{hint}, if it is not on purpose"))
    return findings


def _available(found: Mapping[str, TopicFacts]) -> list[Finding]:
    """What brokers that are away, or behind, mean for each partition now: the worst of three."""
    findings = []
    if stopped := _those(found, lambda one, _: not one.led):
        findings.append(
            failed(
                "topics",
                f"no broker leads {stopped}: nothing of these is read or written",
                "start the brokers that are away: only a replica that was in sync may lead",
                ExitCode.DEPENDENCY,
            )
        )
    if unsafe := _those(found, lambda one, least: one.led and one.in_sync < least):
        findings.append(
            failed(
                "topics",
                f"fewer replicas than min.insync.replicas are in sync of {unsafe}: nothing is written to these",
                "start the brokers that are away; until then workers wait, for kafka.message_timeout_s at most",
                ExitCode.DEPENDENCY,
            )
        )
    if behind := _those(found, lambda one, least: one.led and least <= one.in_sync < one.replicas):
        findings.append(
            warning(
                "topics",
                f"replicas are away or behind of {behind}: these are used, and survive fewer brokers",
                "see to the broker that is away; one that was started a moment ago catches up by itself",
            )
        )
    return findings


def _those(found: Mapping[str, TopicFacts], holds: Callable[[PartitionState, int], bool]) -> str:
    """The partitions of which it holds, given their topic's `min.insync.replicas`, in words; nothing when there are none."""
    concerned = {
        name: sum(holds(one, int(facts.config.get("min.insync.replicas", "1"))) for one in facts.states)
        for name, facts in sorted(found.items())
    }
    names = ", ".join(name for name, count in concerned.items() if count)
    of = sum(len(facts.states) for facts in found.values())
    return f"{sum(concerned.values())} of {of} partitions ({names})" if names else ""


def _replicated(found: Mapping[str, TopicFacts], brokers: int) -> list[Finding]:
    """One broker is a laptop: nothing can be replicated, so nothing is said."""
    findings = []
    wanted = min(SAFE_REPLICAS, brokers)
    thin = sorted(name for name, facts in found.items() if facts.replication < wanted)
    if thin:
        findings.append(
            warning(
                "topics",
                f"fewer than {wanted} replicas: {', '.join(thin)}",
                "a lost broker loses what is in them; `kafka-reassign-partitions` adds replicas",
            )
        )
    for name, facts in sorted(found.items()):
        in_sync = int(facts.config.get("min.insync.replicas", "1"))
        if facts.replication >= SAFE_REPLICAS and in_sync < 2:
            findings.append(
                warning(
                    "topics",
                    f"{name}: min.insync.replicas is {in_sync}: an acknowledged output may be on one broker only",
                    "set it to 2",
                )
            )
        if in_sync > facts.replication or in_sync == facts.replication > 1:
            findings.append(
                warning(
                    "topics",
                    f"{name}: min.insync.replicas {in_sync} of {facts.replication}: one broker away stops all writing",
                    "set it one below the number of replicas",
                )
            )
    return findings


def _sizes(found: Mapping[str, TopicFacts], message_max_bytes: int) -> list[Finding]:
    """The largest record that an input takes must fit into a dead letter, or it would block its partition."""
    findings = []
    for topic in INPUT_TOPICS:
        letters = dead_letter_topic(topic)
        if topic not in found or letters not in found:
            continue
        needed = _largest(found[topic]) + DEAD_LETTER_EXTRA_BYTES
        for limit, what in (
            (_largest(found[letters]), f"{letters}'s max.message.bytes"),
            (message_max_bytes, "kafka.message_max_bytes"),
        ):
            if limit < needed:
                findings.append(
                    failed(
                        "topics",
                        f"{what} is {limit:,}, and a dead letter for the largest record of {topic} needs {needed:,}",
                        f"raise it to {needed:,} or more",
                        ExitCode.DATA,
                    )
                )
    return findings


def _largest(facts: TopicFacts) -> int:
    return int(facts.config.get("max.message.bytes", "1048588"))
