"""How much is measured. Pure."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from worker.errors import UsageError


class Measure(NamedTuple):
    """One line of the table."""

    name: str
    title: str
    target: float | None
    goal: float | None
    at_most: bool = False
    """Whether smaller is better."""


MEASURES: Final[dict[str, Measure]] = {
    measure.name: measure
    for measure in (
        Measure("a", "worker, Kafka to Kafka / bare packed forward", 0.90, 0.95),
        Measure("b", "packed / padded batches of 32", 3.0, 4.0),
        Measure("c", "worker, Kafka to Kafka / plain loop", 6.0, 8.0),
        Measure("d", "worker, all texts cached / raw copy loop", 0.35, 0.50),
        Measure("e", "latency at 70 % load", None, None, at_most=True),
        Measure("f", "resident memory, 10 N cached events / N", 1.02, 1.02, at_most=True),
    )
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of one run; all of them follow from the number of unique texts."""

    names: tuple[str, ...]
    texts: int
    """Unique texts that the worker and the bare forward read in one repetition."""
    repetitions: int
    seed: int
    latency_s: float
    """How long the steady arrival lasts."""

    @property
    def padded_texts(self) -> int:
        """Those that the padded forward reads: it is slower, and the same ones are read packed beside it."""
        return max(64, self.texts // 4)

    @property
    def plain_texts(self) -> int:
        """Those that the plain loop reads: it takes every text for one of 128 tokens, so it needs fewer."""
        return max(32, self.texts // 10)

    @property
    def cached_events(self) -> int:
        """Events that the cache answers, and that the copy loop copies."""
        return self.texts * 50

    @property
    def memory_events(self) -> tuple[int, int]:
        """Cached events after which resident memory is read."""
        return self.texts * 25, self.texts * 250


def make_plan(*, only: str | None, texts: int | None, quick: bool, seed: int) -> Plan:
    """The plan for a command line. Raises UsageError for a measure that does not exist or too few texts."""
    names = tuple(MEASURES) if only is None else tuple(name.strip() for name in only.split(","))
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        raise UsageError(
            f"no such measure: {', '.join(map(repr, unknown))}",
            hint=f"there are {', '.join(MEASURES)}: `--only a,b`",
        )
    if texts is None:
        texts = 1_000 if quick else 4_000
    if texts < 100:
        raise UsageError("at least 100 texts are needed to measure a rate", hint="`--texts 1000`")
    return Plan(
        names=tuple(name for name in MEASURES if name in names),
        texts=texts,
        repetitions=1 if quick else 5,
        seed=seed,
        latency_s=5.0 if quick else 20.0,
    )
