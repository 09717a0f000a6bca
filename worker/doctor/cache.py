"""Is Redis a cache that the worker can lean on? Its absence or failure never changes an output, only the speed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.cache.connection import distrust_of
from worker.doctor.clients import require_redis_url
from worker.doctor.finding import Finding, failed, ok, skipped, warning
from worker.errors import ExitCode, UsageError
from worker.settings import Settings

LOOK_TIMEOUT_S = 2.0
MOST_SKEW_S = 5.0
PROBE = ["tl:doctor"]
"""A key that no worker writes."""


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """What one Redis said of itself."""

    version: str
    policy: str
    max_memory_bytes: int
    used_memory_bytes: int
    persistent: bool
    read_only: bool
    """A replica that takes no writes, or a user who may not SET, as far as the server tells."""
    answer_ms: float
    clock_ahead_s: float
    """Its clock less this machine's."""


def gather(url: str) -> CacheFacts:
    """Ask one Redis. Blocks for at most a few seconds. Raises ``redis.RedisError``, or ``ValueError`` for a host's name."""
    with _open(url) as client:
        client.mget(PROBE)  # what the worker itself needs; whoever may not do this is refused
        before, started = time.time(), time.perf_counter()
        seconds, microseconds = client.time()
        took_s = time.perf_counter() - started
        server, memory, persistence = client.info("server"), client.info("memory"), client.info("persistence")
        read_only = _is_read_only_replica(client.info("replication")) or not _may_write(client)
        saves = client.config_get("save").get("save", "") if _may_read_config(client) else ""
    return CacheFacts(
        version=str(server.get("valkey_version") or server.get("redis_version", "?")),
        policy=str(memory.get("maxmemory_policy", "?")),
        max_memory_bytes=int(memory.get("maxmemory", 0)),
        used_memory_bytes=int(memory.get("used_memory", 0)),
        persistent=bool(persistence.get("aof_enabled")) or bool(saves),
        read_only=read_only,
        answer_ms=took_s * 1000,
        clock_ahead_s=seconds + microseconds / 1e6 - (before + took_s / 2),
    )


def _open(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=LOOK_TIMEOUT_S,
        socket_connect_timeout=LOOK_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # the default holds a caller for a minute when the server hangs
        protocol=2,
    )


def _may_read(url: str) -> bool:
    """Whether this user may look texts up, whatever else it may not."""
    try:
        with _open(url) as client:
            client.mget(PROBE)
    except redis.RedisError:
        return False
    return True


def judge(facts: CacheFacts, budget_ms: float) -> list[Finding]:
    """Policy, writes, memory, persistence, speed and clock."""
    findings = []
    # Every entry of the worker's expires, so the volatile policies may let any of them go; only others' keys may stay for ever.
    if not facts.policy.startswith(("allkeys-", "volatile-")):
        findings.append(
            warning(
                "redis",
                f"maxmemory-policy is {facts.policy}: when memory is full it refuses writes",
                "CONFIG SET maxmemory-policy allkeys-lru",
            )
        )
    if facts.read_only:
        findings.append(
            warning(
                "redis",
                "it takes no writes from this worker: what it finds out is remembered in its own memory only",
                "name the primary in redis.url, not a replica, and allow this user SET on tl:*",
            )
        )
    if facts.max_memory_bytes == 0:
        findings.append(
            warning(
                "redis", "maxmemory is not set: it grows until the host ends it", "CONFIG SET maxmemory 1gb"
            )
        )
    if facts.persistent:
        findings.append(
            warning(
                "redis",
                "it writes to disk, which a cache does not need and which adds pauses",
                'CONFIG SET save "" and CONFIG SET appendonly no',
            )
        )
    if facts.answer_ms > budget_ms / 2:
        findings.append(
            warning(
                "redis",
                f"one answer took {facts.answer_ms:.0f} ms of the {budget_ms:.0f} ms a micro-batch may spend on it",
                "move it closer, or raise redis.budget_ms",
            )
        )
    if abs(facts.clock_ahead_s) > MOST_SKEW_S:
        findings.append(_skew(facts.clock_ahead_s))
    size = f"{facts.used_memory_bytes / 1e6:.0f} of {facts.max_memory_bytes / 1e6:.0f} MB"
    return findings or [ok("redis", f"{facts.version}, {facts.policy}, {size}, {facts.answer_ms:.1f} ms")]


def check(settings: Settings) -> list[Finding]:
    """Gather and judge, when a Redis is set."""
    if not settings.redis.url:
        return [skipped("redis", "redis.url is not set: only the in-process cache is used")]
    url = settings.redis.url.get_secret_value()
    try:
        require_redis_url(settings)
        facts = gather(url)
    except UsageError as error:
        return [failed("redis", error.message, error.hint, error.exit_code)]
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        if isinstance(error, redis.exceptions.NoPermissionError) and _may_read(url):
            return [
                warning(
                    "redis",
                    f"answers, but not how it is set up: {error}",
                    "the worker can read it; to have memory, policy and writes checked, allow this user INFO, TIME and ACL",
                )
            ]
        return [
            failed(
                "redis", f"refused: {error}", "check user and password in redis.url", ExitCode.AUTHENTICATION
            )
        ]
    except (redis.RedisError, ValueError) as error:  # the second: a host's name that no resolver takes
        if distrust := distrust_of(error):
            hint = "name the host as the certificate does, and a private authority with ?ssl_ca_certs=FILE in redis.url"
            return [failed("redis", distrust, hint, ExitCode.AUTHENTICATION)]
        return [
            warning(
                "redis",
                f"does not answer: {error}",
                "the worker runs without it, more slowly; check redis.url, or leave it unset",
            )
        ]
    return judge(facts, settings.redis.budget_ms)


def _skew(ahead_s: float) -> Finding:
    return warning(
        "clock",
        f"Redis's clock is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this machine's",
        "run a time service (chrony, ntpd) on both: latency and freshness are measured by these clocks",
    )


def _may_read_config(client: redis.Redis) -> bool:
    try:
        client.config_get("maxmemory")
    except redis.ResponseError:  # renamed or forbidden, as managed services do
        return False
    return True


def _is_read_only_replica(replication: Mapping[str, object]) -> bool:
    return replication.get("role") == "slave" and bool(replication.get("slave_read_only", 1))


def _may_write(client: redis.Redis) -> bool:
    """Whether this user may SET, by a rehearsal that writes nothing. True where it is not told: before Redis 7, or forbidden."""
    try:
        user = client.acl_whoami()
        name = user.decode() if isinstance(user, bytes) else user
        return client.acl_dryrun(name, "SET", *PROBE, "", "EX", 1) in (b"OK", "OK")
    except redis.ResponseError:
        return True
