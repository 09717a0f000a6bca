"""An intake between a client and stages that a test plays."""

from collections.abc import Callable
from typing import cast

from confluent_kafka import Consumer, TopicPartition

from tests.stream.fakes import TOPIC, FakeConsumer, FakeMessage, FakeStages
from worker.stream.assignment import Assignment
from worker.stream.buffer import WindowLimits
from worker.stream.intake import Intake, IntakeLimits
from worker.stream.journal import Journal
from worker.stream.offsets import Offsets

BOTH = [TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)]


def nothing_more() -> None:
    """Ends what one poll hands out: what follows comes after a seek has taken effect."""


class Bench:
    """An intake between a client and stages that a test plays."""

    def __init__(
        self,
        *,
        drain_timeout_s: float = 0.2,
        stuck_after_s: float = 30.0,
        journal: Journal | None = None,
        transactional: bool = False,
        start_from: str = "earliest",
    ) -> None:
        self.consumer, self.stages, self.assignment = FakeConsumer(), FakeStages(), Assignment()
        self.memberships: list[bool] = []
        self.progress: list[int] = []
        """Records in flight at each turn."""
        journal = journal or Journal()
        self.offsets = Offsets(
            cast("Consumer", self.consumer), self.assignment, start_from=start_from, journal=journal
        )
        self.intake = Intake(
            cast("Consumer", self.consumer),
            [TOPIC],
            assignment=self.assignment,
            stages=self.stages,
            offsets=self.offsets,
            limits=IntakeLimits(
                WindowLimits(10, 1_000_000, 0.01), 20, 1_000_000, drain_timeout_s, stuck_after_s
            ),
            transactional=transactional,
            journal=journal,
            on_progress=self.progress.append,
            on_membership=self.memberships.append,
        )
        self.consumer.to_read.append(self.assign)

    def assign(self) -> None:
        self.callback("on_assign", BOTH)

    def callback(self, name: str, partitions: list[TopicPartition]) -> None:
        self.consumer.callbacks[name](self.consumer, partitions)

    def feed(self, *offsets: int, partition: int = 0) -> None:
        self.consumer.to_read += [FakeMessage(offset, partition=partition) for offset in offsets]

    def run(self, turns: int = 5, then: Callable[[], None] = lambda: None) -> None:
        """So many turns, then `then`, then the drain."""
        left = turns

        def stop() -> bool:
            nonlocal left
            left -= 1
            if left == 0:
                then()
            return left <= 0

        self.intake.run(stop)

    def submitted(self) -> list[int]:
        return [record.offset for batch in self.stages.submitted for record in batch.records]
