"""One run from the stack's start to its end."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from worker.bench.bench import Bench, Progress, Result
from worker.bench.cached import cached_throughput, memory
from worker.bench.latency import latency
from worker.bench.machine import describe_machine, describe_versions, usable_cores
from worker.bench.plan import Plan
from worker.bench.report import lengths_summary
from worker.bench.throughput import FORWARDS, end_to_end, packing, worker_rate
from worker.bench.traffic import Traffic
from worker.settings import Settings, load

BUSY_SHARE = 0.5
"""Load average per core from which on the bench says that something else runs."""
_MODEL_FACTS = ("model", "digest", "precision", "threads", "cpu_capability", "machine")


class Findings(NamedTuple):
    """What a run found out."""

    results: list[Result]
    facts: dict[str, object]
    """Machine, versions, model, texts, settings: what the numbers depend on."""


def run(plan: Plan, *, seconds_cap: float | None, progress: Progress) -> Findings:
    """Carry the plan out. Blocks for minutes; leaves no process, group, or topic of its own behind.

    Raises TaglineError when the stack or a worker fails.
    """
    started, began = datetime.now(UTC), time.monotonic()
    machine = describe_machine()
    if os.getloadavg()[0] > BUSY_SHARE * usable_cores():
        progress(
            f"the load average is {os.getloadavg()[0]:.1f}: something else uses the cores, and it will show"
        )
    with _stack(progress) as addresses, tempfile.TemporaryDirectory(prefix="tagline-bench-") as folder:
        settings = load({"kafka.bootstrap_servers": addresses["KAFKA_BOOTSTRAP_SERVERS"]})
        with Traffic(settings) as traffic:
            deadline = began + (seconds_cap if seconds_cap is not None else float("inf"))
            bench = Bench(
                plan,
                traffic,
                addresses,
                Path(folder),
                progress,
                deadline,
                settings.window.max_records,
                settings.model.precision,
            )
            progress(f"loading the model and reading {plan.texts:,} texts with its tokenizer")
            model = bench.measure([FORWARDS, "identify"], {"texts": bench.pairs()})
            bench.precision, bench.lengths = model["precision"], model["lengths"]
            results = measure_all(bench)
            facts = _facts(settings, model, machine, redis="REDIS_URL" in addresses)
    facts |= {
        "started_at": started.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began, 1),
    }
    return Findings(results, facts)


def measure_all(bench: Bench) -> list[Result]:
    """The measurements of the plan, in order."""
    names, results = bench.plan.names, []
    rate: float | None = None
    if wanted := tuple(name for name in ("a", "c") if name in names):
        found, rate = end_to_end(bench, wanted)
        results += found
    if "b" in names:
        results.append(packing(bench))
    if "d" in names:
        results.append(cached_throughput(bench))
    if "e" in names:
        results.append(latency(bench, worker_rate(bench) if rate is None else rate))
    if "f" in names:
        results.append(memory(bench))
    return sorted(results, key=lambda result: result.name)


def _facts(
    settings: Settings, model: dict[str, Any], machine: dict[str, object], *, redis: bool
) -> dict[str, object]:
    return {
        "machine": machine,
        "versions": describe_versions(),
        "model": {name: model[name] for name in _MODEL_FACTS},
        "texts": lengths_summary(model["lengths"]),
        "settings": {
            "delivery": settings.delivery,
            "redis": redis,
            "window": settings.window.model_dump(),
            "memory_entries": settings.cache.memory_entries,
        },
    }


@contextmanager
def _stack(progress: Progress) -> Iterator[dict[str, str]]:
    """A stack of this run's own, deleted afterwards; or the user's Kafka, and their Redis if they named one."""
    brokers = os.environ.get("TAGLINE_KAFKA_BOOTSTRAP_SERVERS")
    if brokers:
        progress(
            f"writing the bench's events to the input topics of {brokers}: every other group there reads them too"
        )
        redis = os.environ.get("TAGLINE_REDIS_URL")
        yield {"KAFKA_BOOTSTRAP_SERVERS": brokers} | ({"REDIS_URL": redis} if redis else {})
        return
    from worker.local.interrupts import undisturbed
    from worker.local.stack import Stack

    with tempfile.TemporaryDirectory(prefix="tagline-bench-stack-") as folder:
        stack = Stack(Path(folder))
        try:
            addresses = stack.up(progress)
            yield {"KAFKA_BOOTSTRAP_SERVERS": addresses.bootstrap_servers, "REDIS_URL": addresses.redis_url}
        finally:
            with undisturbed():
                stack.down(progress)
