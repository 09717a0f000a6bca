"""What all measurements share: the plan, the stack, the model, the clock, and a worker to measure."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from worker.bench.events import InputEvent, input_event
from worker.bench.plan import Plan
from worker.bench.processes import WorkerProcess, child_environment, measure
from worker.bench.texts import BenchText, unique_texts
from worker.bench.traffic import Traffic

Progress = Callable[[str], None]
CACHE_LIFE_S = 600
"""What the bench leaves in a Redis of the user's own expires within this time, and nobody else can read it."""


@dataclass(frozen=True)
class Result:
    """What one measurement found."""

    name: str
    value: float
    """The ratio; for the latency the 99th percentile in milliseconds."""
    summary: str
    """What the value was made of, for a person."""
    detail: dict[str, object]
    """All numbers, for the JSON."""


@dataclass
class Bench:
    """One run. Belongs to one thread."""

    plan: Plan
    traffic: Traffic
    addresses: dict[str, str]
    """Settings (names without `TAGLINE_`) by which children reach the stack."""
    folder: Path
    progress: Progress
    deadline: float
    """On the monotonic clock: no repetition begins after it, except the first of each measurement."""
    window_records: int
    """Records of a full micro-batch of the worker."""
    precision: str
    """What the user asks for; once the model was asked, what it computes in."""
    lengths: Sequence[int] = ()
    """Tokens of each of the texts, once the model was asked."""
    next_number: int = 0
    """Of the next event."""

    @cached_property
    def texts(self) -> list[BenchText]:
        """The unique texts."""
        return unique_texts(self.plan.texts, self.plan.seed)

    def pairs(self, count: int | None = None) -> list[tuple[str, str]]:
        """Kind and text of the first `count` texts, for a child's specification."""
        return [(text.kind, text.text) for text in self.texts[:count]]

    def events(self, texts: Sequence[BenchText], count: int) -> Iterator[InputEvent]:
        """`count` events with new ids whose texts come round again and again, each under the same key."""
        for number in range(count):
            at = number % len(texts)
            yield input_event(texts[at], self.next_number, at)
            self.next_number += 1

    def repetitions(self, title: str) -> Iterator[int]:
        """Numbers of the repetitions, fewer than planned when the time is up."""
        for number in range(self.plan.repetitions):
            if number and time.monotonic() > self.deadline:
                self.progress(
                    f"{title}: the time is up after {number} of {self.plan.repetitions} repetitions"
                )
                return
            self.progress(f"{title}: repetition {number + 1} of {self.plan.repetitions}")
            yield number

    def environment(self, **settings: str) -> dict[str, str]:
        """Of a child: the user's settings, the stack's addresses, the precision that was settled on."""
        return child_environment(**self.addresses, MODEL_PRECISION=self.precision, **settings)

    def measure(self, program: list[str], specification: dict[str, object]) -> dict[str, Any]:
        """A measuring module in a process of its own."""
        return measure(program, specification, self.environment())

    @contextmanager
    def worker(self, group: str) -> Iterator[WorkerProcess]:
        """A worker whose caches know nothing at its start: its keys are made with a secret of its own."""
        environment = self.environment(
            KAFKA_GROUP_ID=group,
            SOURCE=self.traffic.source,
            CACHE_SECRET=secrets.token_hex(16),
            REDIS_TTL_S=str(CACHE_LIFE_S),
            TELEMETRY_PORT="-1",
            TELEMETRY_LOG_LEVEL="warning",
        )
        with WorkerProcess(environment, self.folder / "worker.log") as worker:
            yield worker
