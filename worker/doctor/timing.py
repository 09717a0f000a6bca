"""Do the time-outs fit together? Pure arithmetic on the settings and on what the cluster allows."""

from collections.abc import Mapping

from worker.doctor.finding import Finding, failed, ok, warning
from worker.errors import ExitCode
from worker.settings import Settings

CLOSE_S = 5.0
"""What closing the clients may take after a drain."""


def judge(settings: Settings, broker: Mapping[str, str]) -> list[Finding]:
    """Compare the settings with one another and with the broker's limits (``broker`` is empty when it is not known)."""
    findings = [
        *_group_times(settings, broker),
        *_transaction_times(settings, broker),
    ]
    kafka = settings.kafka
    summary = (
        f"drain {settings.limits.drain_timeout_s:g} s < poll interval {kafka.max_poll_interval_s:g} s; "
        f"session {kafka.session_timeout_s:g} s; transaction {kafka.transaction_timeout_s:g} s"
    )
    return findings or [ok("time-outs", summary)]


def _group_times(settings: Settings, broker: Mapping[str, str]) -> list[Finding]:
    kafka, findings = settings.kafka, []
    if settings.limits.drain_timeout_s + CLOSE_S > kafka.max_poll_interval_s:
        findings.append(
            failed(
                "time-outs",
                f"limits.drain_timeout_s {settings.limits.drain_timeout_s:g} + {CLOSE_S:g} s to close exceeds "
                f"kafka.max_poll_interval_s {kafka.max_poll_interval_s:g}: a drain would lose the partitions",
                "lower limits.drain_timeout_s",
                ExitCode.USAGE,
            )
        )
    low = _seconds(broker, "group.min.session.timeout.ms")
    high = _seconds(broker, "group.max.session.timeout.ms")
    session = kafka.session_timeout_s
    if kafka.group_protocol == "classic" and (
        (low is not None and session < low) or (high is not None and session > high)
    ):
        findings.append(
            failed(
                "time-outs",
                f"kafka.session_timeout_s {session:g} is outside what the broker allows ({_range(low, high)} s)",
                "choose a value within that: the broker refuses to let the worker join",
                ExitCode.USAGE,
            )
        )
    return findings


def _transaction_times(settings: Settings, broker: Mapping[str, str]) -> list[Finding]:
    if settings.delivery != "exactly_once":
        return []
    kafka, findings = settings.kafka, []
    most = _seconds(broker, "transaction.max.timeout.ms")
    if most is not None and kafka.transaction_timeout_s > most:
        findings.append(
            failed(
                "time-outs",
                f"kafka.transaction_timeout_s {kafka.transaction_timeout_s:g} exceeds the broker's "
                f"transaction.max.timeout.ms ({most:g} s): it refuses the producer",
                "lower it, or raise the broker's",
                ExitCode.USAGE,
            )
        )
    if kafka.transactional_id is None:
        findings.append(
            warning(
                "time-outs",
                f"without kafka.transactional_id, subscribers wait {kafka.transaction_timeout_s:g} s after a worker was "
                "killed in mid-transaction",
                "set it to something this replica keeps across restarts, such as a pod's name",
            )
        )
    return findings


def _range(low: float | None, high: float | None) -> str:
    """A broker may tell only one of its limits: not every principal may read all of its configuration."""
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"


def _seconds(broker: Mapping[str, str], name: str) -> float | None:
    return int(broker[name]) / 1000 if name in broker else None
