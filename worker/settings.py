"""Every option of the worker, one class per concern, validated at start.

A value comes from, strongest first: command-line flags, the environment (``TAGLINE_<GROUP>_<NAME>``, or the same with
``_FILE`` appended for a mounted secret), a TOML file named by ``TAGLINE_CONFIG``, the default here. An unknown key is an
error. Each description says how to choose the value; the reference page is generated from them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from worker.settings_sources import fields_of, gather, nested, readable


class _Group(BaseModel):
    """Numbers that a library below would not refuse but misread have bounds here: librdkafka keeps milliseconds and bytes in 32
    bits and drops what is above them, so that 4,294,968 s would be 0.7 s, and 0 ms of a time-out is for ever.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class KafkaSettings(_Group):
    """How the worker reaches Kafka and behaves in its consumer group."""

    bootstrap_servers: str = Field(
        "localhost:9092", min_length=1, description="Brokers to start from, `host:port`, comma-separated."
    )
    group_id: str = Field(
        "tagline",
        min_length=1,
        description="Consumer group. All replicas share it; a second group tags everything again.",
    )
    group_protocol: Literal["classic", "consumer"] = Field(
        "classic",
        description="`classic` uses cooperative-sticky assignment and works with every broker; `consumer` is KIP-848, "
        "which needs brokers from 4.0 and rebalances without stopping the group.",
    )
    start_from: Literal["earliest", "latest", "error"] = Field(
        "earliest",
        description="Where a partition without a committed offset starts. `latest` skips what is there when the group first "
        "sees a partition, also one that is added later, and commits that place at once. An offset that is out of range is always "
        "an error, because skipping records silently is a loss.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT"] = Field(
        "PLAINTEXT",
        description="`SASL_SSL` or `SSL` outside a laptop. `SASL_PLAINTEXT` also needs `allow_insecure`. Credentials and "
        "TLS files that it would not use are refused.",
    )
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="Used with a SASL protocol."
    )
    username: str | None = Field(None, description="SASL user name.")
    password: SecretStr | None = Field(
        None, description="SASL password; prefer `TAGLINE_KAFKA_PASSWORD_FILE`."
    )
    ca_file: Path | None = Field(
        None, description="Certificate authority for TLS; the system's when not set."
    )
    certificate_file: Path | None = Field(None, description="Client certificate for mutual TLS.")
    key_file: Path | None = Field(None, description="Client key for mutual TLS.")
    allow_insecure: bool = Field(
        False, description="Permit `SASL_PLAINTEXT`, which sends the password unencrypted."
    )
    session_timeout_s: float = Field(
        45.0,
        ge=1,
        le=3_600,
        description="A member that is silent this long loses its partitions. Lower finds dead workers sooner; "
        "the heartbeat follows from it (a third, at most 3 s). The `consumer` protocol takes the broker's value instead.",
    )
    max_poll_interval_s: float = Field(
        300.0,
        ge=1,
        le=86_400,
        description="Polling never waits for the model, so this only catches a stuck process. Not below `session_timeout_s`.",
    )
    message_timeout_s: float = Field(
        300.0,
        ge=1,
        le=2_147_483,
        description="How long an output may wait for its acknowledgement (a broker that restarts) before the "
        "worker gives up and exits. In exactly-once mode the transaction time-out is the limit if it is lower.",
    )
    transactional_id: str | None = Field(
        None,
        description="Exactly once: an id of this one replica that survives its restarts (a pod's name), so that a killed "
        "replica's open transaction is resolved at once. Random when not set: then it is resolved at its time-out.",
    )
    transaction_timeout_s: float = Field(
        30.0,
        ge=1,
        le=2_147_483,
        description="Exactly once: how long `read_committed` subscribers wait after a worker was killed in "
        "mid-transaction, and up to 10 s more. Must not exceed the broker's `transaction.max.timeout.ms`.",
    )
    linger_ms: float = Field(
        5.0, ge=0, le=900_000, description="How long the producer gathers messages; 5 to 20 under load."
    )
    queued_max_mb: int = Field(
        16,
        ge=1,
        le=2_047,
        description="Prefetched bytes per consumer. 16 to 64 is enough: the pipeline holds the rest.",
    )
    message_max_bytes: int = Field(
        4_000_000,
        ge=1_000,
        le=1_000_000_000,
        description="Largest message produced. A dead letter carries its original, so keep this and "
        "the dead-letter topics' `max.message.bytes` above the inputs' largest record plus 64 kB.",
    )
    client_options: dict[str, str] = Field(
        default_factory=dict,
        description="Further librdkafka properties as JSON, for tuning. What the worker owns (offset commits, isolation, "
        "idempotence...) is refused. Passwords, tokens and keys among them are never shown.",
    )

    @model_validator(mode="after")
    def _secure_unless_asked(self) -> "KafkaSettings":
        if self.security_protocol == "SASL_PLAINTEXT" and not self.allow_insecure:
            raise ValueError(
                "SASL_PLAINTEXT sends the password unencrypted; use SASL_SSL, or set allow_insecure=true"
            )
        if self.security_protocol.startswith("SASL") and not (self.username and self.password):
            raise ValueError("a SASL security protocol needs username and password")
        return self

    @model_validator(mode="after")
    def _security_is_used(self) -> "KafkaSettings":
        """What the protocol would pass over in silence is refused: whoever gave it believes the connection secured."""
        sasl, tls = self.security_protocol.startswith("SASL"), self.security_protocol.endswith("SSL")
        credentials = [name for name in ("username", "password") if getattr(self, name)]
        files = [name for name in ("ca_file", "certificate_file", "key_file") if getattr(self, name)]
        unused = ([] if sasl else credentials) + ([] if tls else files)
        if unused:
            meant = "SASL_SSL" if sasl or credentials else "SSL"
            raise ValueError(
                f"{', '.join(unused)} would not be used, because kafka.security_protocol is {self.security_protocol}; "
                f"set it to {meant}"
            )
        return self


class RedisSettings(_Group):
    """The shared cache. The worker's outputs never depend on it."""

    url: SecretStr | None = Field(
        None,
        description="`redis://`, `rediss://` or `unix://` address; without it only the in-process cache is used. A private "
        "authority of a `rediss://` one is named in it: `?ssl_ca_certs=FILE`.",
    )
    budget_ms: float = Field(
        50.0, gt=0, le=60_000, description="Most time one micro-batch may spend reading the cache."
    )
    ttl_s: int = Field(
        7 * 86_400,
        ge=1,
        le=315_360_000,
        description="Expiry of an entry; each gets up to 10 % less, so they do not expire together.",
    )
    breaker_failures: int = Field(
        3, ge=1, description="Failures in a row after which Redis is left alone for a while."
    )
    breaker_open_s: float = Field(
        5.0, gt=0, description="How long the breaker leaves Redis alone before it tries again."
    )
    write_queue: int = Field(
        20_000, ge=1, description="Entries that may wait to be written; more are dropped, and counted."
    )


class CacheSettings(_Group):
    """The in-process cache, and what names an entry."""

    memory_entries: int = Field(
        100_000,
        ge=0,
        le=1_000_000_000,
        description="Texts remembered in the process, about 40 bytes each. 0 turns it off.",
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Keys the hash that names a text in Redis, so that nobody can look a text up without it. "
        "Replicas must share it.",
    )


class ModelSettings(_Group):
    """Which model is served, and how."""

    bundle: Path | None = Field(None, description="Folder of a model bundle; the shipped one when not set.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="`auto` takes CUDA when torch sees a GPU that can compute the model (compute capability 8.0 or newer), else the CPU. "
        "Set `cuda` where a worker shall rather not start than compute on the CPU (docs/operating.md, On a GPU: nobody has measured it).",
    )
    precision: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto",
        description="`auto` measures for a moment at start and takes bfloat16 where it is faster than float32; else int8 where that is, "
        "and the bundle tells that it changes few labels (of the shipped one, one text in 180: docs/performance.md); else float32. Set float32 "
        "where replicas run on different machines, so that answers differ in the last digits only: int8 rounds to seven or to eight bits, "
        "as the processor can. Unlike machines never share cached answers. On a GPU it is bfloat16, and the others are refused.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=1_024,
        description="CPU threads of the forward; 0 means the cores this process may use. Of no effect on a GPU.",
    )
    tokens_per_forward: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Tokens packed into one forward; 0 chooses 1,024 on a CPU and 16,384 on a GPU.",
    )


class WindowSettings(_Group):
    """When intake closes a micro-batch, and how much may be in flight."""

    max_records: int = Field(
        256, ge=1, description="Records in one micro-batch: more is faster, fewer replays less after a crash."
    )
    max_bytes: int = Field(4_000_000, ge=1_000, description="Bytes in one micro-batch.")
    max_wait_ms: float = Field(
        200.0,
        gt=0,
        description="Oldest a waiting record may become before its micro-batch closes. When the model is idle it "
        "closes at once.",
    )
    high_records: int = Field(
        4_096, ge=2, description="Records in flight at which intake pauses; it resumes at half of it."
    )
    high_bytes: int = Field(
        64_000_000, ge=2_000, description="Bytes in flight at which intake pauses; it resumes at half of it."
    )


class LimitSettings(_Group):
    """Bounds on what one record may cost."""

    record_bytes: int = Field(
        1_000_000, ge=1_000, description="Larger records go to the dead letters unparsed."
    )
    drain_timeout_s: float = Field(
        25.0,
        gt=0,
        description="Longest a stop or a revoked partition waits for the work in flight. Keep it at least "
        "10 s below the platform's grace period (Kubernetes gives 30 s unless `terminationGracePeriodSeconds` says more).",
    )
    stuck_after_s: float = Field(
        330.0,
        gt=0,
        description="A worker that has work in flight and finishes none of it for this long exits, so that "
        "another takes over. Keep it above `kafka.message_timeout_s` if brokers may be away longer.",
    )
    crash_journal: Path | None = Field(
        None,
        description="A file that a restart leaves in place, in which the worker notes what it is working on. With it a record "
        "that kills the process (a crash, memory, a GPU that it breaks) is found out and becomes a dead letter after four lives; "
        "without it, the group meets that record again for ever. Workers on one host may share the name.",
    )


class TelemetrySettings(_Group):
    """Logs, metrics and health."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug` is for a laptop."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto`: console on a terminal, else JSON."
    )
    host: str = Field(
        "127.0.0.1", description="Address of /livez, /readyz and /metrics; 0.0.0.0 in a container."
    )
    port: int = Field(
        9464,
        ge=-1,
        le=65_535,
        description="Port of the same; 0 takes a free one and logs it, and so does a port that somebody else has, with a warning; -1 turns it off.",
    )
    statistics_interval_s: float = Field(
        5.0, ge=0, le=86_400, description="How often librdkafka reports lag and queues; 0 never."
    )


class Settings(_Group):
    """The whole configuration."""

    delivery: Literal["at_least_once", "exactly_once"] = Field(
        "at_least_once",
        description="`at_least_once`: after a crash subscribers may see an event again, with the same id. `exactly_once`: "
        "outputs and offsets in one transaction; subscribers must read `read_committed`.",
    )
    source: str = Field(
        "/tagline",
        min_length=1,
        description="`ce_source` of the events published: who speaks. `ce_id` is unique within it only, so take one for each "
        "cluster, and a new one if an input topic was deleted and made anew.",
    )
    dead_letter_names: Literal["tagline", "connect", "spring"] = Field(
        "tagline",
        description="Names of the headers on dead letters: `dlq.*`, or those of Kafka Connect or Spring, for redrive tools "
        "built for them. `tagline dlq` reads all three; `tagline` says the most.",
    )
    dead_letter_oversize: Literal["trim", "stop"] = Field(
        "trim",
        description="A record that is larger than `kafka.message_max_bytes` once it is decompressed: `trim` leaves its value "
        "and headers out of the dead letter and says so in `dlq.trimmed` (they stay in the input topic until its retention "
        "ends); `stop` ends the worker before anything is committed, so that somebody raises the limit. With `stop`, whoever "
        "may write to an input topic can stop every worker with a record of a few kilobytes.",
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
    window: WindowSettings = Field(default_factory=WindowSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)

    @model_validator(mode="after")
    def _times_fit_together(self) -> "Settings":
        if self.limits.drain_timeout_s >= self.kafka.max_poll_interval_s:
            raise ValueError(
                "limits.drain_timeout_s must be below kafka.max_poll_interval_s, or a drain loses the partitions"
            )
        kafka = self.kafka
        if kafka.group_protocol == "classic" and kafka.max_poll_interval_s < kafka.session_timeout_s:
            raise ValueError("kafka.max_poll_interval_s must not be below kafka.session_timeout_s")
        return self


class Resolved(NamedTuple):
    """The settings in force, and for each one (``kafka.group_id``) where it came from."""

    settings: Settings
    origins: dict[str, str]


def resolve(
    overrides: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> Resolved:
    """Read and validate every setting.

    Args:
        overrides: flags, by dotted name (``{"kafka.group_id": "..."}``); ``None`` as a value means not given.
        environ: the environment; the process's own when not given.

    Raises ``UsageError`` that names each wrong or unknown setting and where it came from, and repeats no secret.
    """
    values = gather(Settings, overrides or {}, os.environ if environ is None else environ)
    try:
        settings = Settings.model_validate(nested(values))
    except ValidationError as error:
        raise readable(error, Settings, values) from None
    origins = {name: values[name].origin if name in values else "default" for name in fields_of(Settings)}
    return Resolved(settings, origins)


def load(overrides: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force; see :func:`resolve`."""
    return resolve(overrides, environ).settings
