"""The consumer's thread: polls in short calls, closes windows, carries out rebalances, stores offsets.

It never waits for the model. When the stages are full it pauses its partitions and goes on polling, so that membership of
the group does not depend on how long a forward takes.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from worker.errors import DrainTimeoutError, StuckError
from worker.stream.arrivals import Arrivals
from worker.stream.assignment import Assignment
from worker.stream.buffer import ReadBuffer, WindowLimits
from worker.stream.ends import Ends
from worker.stream.errors import kafka_error
from worker.stream.journal import Journal
from worker.stream.microbatch import MicroBatch
from worker.stream.offsets import Offsets
from worker.stream.record import Partition, Record
from worker.stream.stages import Stages
from worker.stream.tally import count
from worker.telemetry import metrics
from worker.telemetry.waited import Waited

log = structlog.get_logger(__name__)

POLL_S = 0.05
"""Longest single wait: for records while there are none, for the stages while they are full. A stop is noticed that late."""
BUSY_POLL_S = 0.005
"""Longest single poll while a window is open or results are on their way, which end no poll."""
PAUSE_AFTER_S = 0.1
"""How long the high watermark may stand before partitions are paused. A pause throws prefetched data away, so a pipeline
that is only briefly behind is waited for instead."""


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """Bounds on what is read ahead of publishing."""

    window: WindowLimits
    high_records: int
    high_bytes: int
    drain_timeout_s: float
    stuck_after_s: float


class Intake:
    """Reads the input topics and feeds micro-batches to the stages until it is told to stop.

    Everything here is called by one thread, rebalance callbacks included: the client runs them inside its polls.
    """

    def __init__(
        self,
        consumer: Consumer,
        topics: Sequence[str],
        *,
        assignment: Assignment,
        stages: Stages,
        offsets: Offsets,
        limits: IntakeLimits,
        transactional: bool,
        journal: Journal,
        on_progress: Callable[[int], None],
        on_membership: Callable[[bool], None],
    ) -> None:
        """Nothing is read before ``run``.

        Args:
            consumer: ours from now on: no other thread calls it.
            topics: the inputs.
            assignment: the partitions that are ours; written here, read by the publish thread.
            stages: what micro-batches are handed to.
            offsets: starting points and commits; they ask the same consumer.
            limits: how much is read ahead, and how long a drain or a standstill may last.
            transactional: whether publishing commits the offsets (exactly once).
            journal: says what is suspected of having killed an earlier process.
            on_progress: hears the records in flight at every turn of the loop, and of a look-up within it.
            on_membership: hears True when the group has said what this member shall read (perhaps nothing), and False when the
                group has thrown it out.
        """
        self._consumer = consumer
        self._topics = list(topics)
        self._assignment = assignment
        self._stages = stages
        self._offsets = offsets
        self._limits = limits
        self._transactional = transactional
        self._journal = journal
        self._on_progress = on_progress
        self._on_membership = on_membership
        self._buffer = ReadBuffer(limits.window)
        self._ends = Ends()
        self._arrivals = Arrivals(consumer, assignment, journal, self._ends)
        self._in_flight: deque[MicroBatch] = deque()
        self._flying_records = 0
        self._flying_bytes = 0
        self._paused = False
        self._closing = False
        self._draining = False
        self._high_since: float | None = None
        self._rewinds = 0
        self._standing = Waited()
        """Since work in flight last left the stages."""
        offsets.on_turn = lambda: self._settle(0)

    def run(self, stop: Callable[[], bool]) -> None:
        """Read until `stop()`; then finish what is in flight, commit it and leave the group. Blocks all the while.

        Raises:
            DrainTimeoutError: the work in flight was not finished within the drain time-out.
            StuckError: work in flight made no progress for too long.
            TaglineError: what ended a stage, or an error of Kafka that waiting does not mend.
        """
        try:
            self._consumer.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            while not stop():
                self._step()
            self._drain()
        except KafkaException as error:
            raise kafka_error(error, "reading from Kafka") from error
        finally:
            # From here on nothing is waited for or committed: what is safe was committed by the drain, and after a
            # failure everything since the last commit is read again.
            self._closing = True
            self._consumer.close()

    # -- one turn of the loop -------------------------------------------------------------------------------------

    def _step(self) -> None:
        self._stages.check()
        self._settle(0)
        if self._stages.rewinds > self._rewinds and not self._rewind():
            return
        self._hold_back()
        self._read()
        self._close_windows()
        self._offsets.commit_if_due(time.monotonic())
        self._watch()

    def _settle(self, timeout_s: float) -> None:
        """Account for micro-batches that left the last stage, waiting up to `timeout_s` for the first."""
        for batch, published in self._stages.finished(timeout_s):
            self._in_flight.remove(batch)
            self._flying_records -= len(batch.records)
            self._flying_bytes -= batch.size
            self._standing.begin_anew()
            if published:
                count(batch.outcomes)
                if batch.records:
                    metrics.END_TO_END_SECONDS.observe(_age_s(batch))
                if self._transactional:
                    self._journal.safe(batch, batch.current(self._assignment))
                else:
                    self._offsets.store(batch)
        metrics.IN_FLIGHT_RECORDS.set(self._flying_records + len(self._buffer))
        metrics.FRESHNESS_SECONDS.set(_age_s(self._in_flight[0]) if self._in_flight else 0)
        self._on_progress(self._flying_records)

    def _hold_back(self) -> None:
        """Pause above the high watermark, once it has stood for a moment; resume at half of it."""
        limits = self._limits
        records, size = self._flying_records + len(self._buffer), self._flying_bytes + self._buffer.size
        if self._paused:
            if records <= limits.high_records // 2 and size <= limits.high_bytes // 2:
                self._consumer.resume(_positions(self._assignment.owned))
                self._set_paused(paused=False)
            return
        if records < limits.high_records and size < limits.high_bytes:
            self._high_since = None
            return
        now = time.monotonic()
        if self._high_since is None:
            self._high_since = now
        if now - self._high_since >= PAUSE_AFTER_S:
            self._consumer.pause(_positions(self._assignment.owned))
            self._set_paused(paused=True)

    def _set_paused(self, *, paused: bool) -> None:
        self._paused = paused
        self._high_since = None
        metrics.PAUSED_PARTITIONS.set(len(self._assignment.owned) if paused else 0)

    def _read(self) -> None:
        if self._high_since is not None:
            self._settle(BUSY_POLL_S)  # the next turn pauses, or reads on
            return
        if self._paused or not self._stages.has_room:
            self._settle(POLL_S)  # nothing can be handed over before the stages move on, which ends this wait
            wait_s = 0.0
        else:
            wait_s = BUSY_POLL_S if self._buffer or self._in_flight else POLL_S
        records = self._arrivals.take(wait_s)
        now = time.monotonic()
        for record in records:
            self._buffer.add(record, now)

    def _kept_apart(self) -> bool:
        """Whether a suspected record is in flight, or has to wait until nothing else is."""
        flying = [batch for batch in self._in_flight if batch.records]
        return bool(flying) and any(
            self._journal.company(record) for record in (flying[-1].records[0], self._buffer.first)
        )

    def _close_windows(self) -> None:
        suspicious = self._journal.suspicious
        while self._stages.has_room and self._buffer.ready(time.monotonic(), idle=self._stages.hungry):
            if suspicious and self._kept_apart():
                return
            records, size = self._buffer.cut(self._journal.company if suspicious else None)
            self._submit(records, size, self._free_ends())
        self._send_ends()

    def _free_ends(self) -> dict[Partition, int]:
        ends = self._ends.take(self._buffer.holds) if self._ends else {}
        for partition, end in ends.items():
            self._assignment.reads_from(partition, end)
        return ends

    def _send_ends(self) -> None:
        """Ends behind which no window closes go alone (see `ends`)."""
        if self._stages.has_room and (ends := self._free_ends()):
            self._submit([], 0, ends)

    def _submit(self, records: list[Record], size: int, ends: dict[Partition, int]) -> None:
        partitions = {(record.topic, record.partition) for record in records} | ends.keys()
        batch = MicroBatch(
            records,
            {partition: self._assignment.epoch(partition) for partition in partitions},
            self._rewinds,
            self._consumer.consumer_group_metadata() if self._transactional else None,
            _oldest_ms(records),
            size,
            ends,
        )
        self._in_flight.append(batch)
        self._flying_records += len(records)
        self._flying_bytes += batch.size
        if records:
            metrics.RECORDS_CONSUMED.inc(len(records))
            metrics.BATCH_RECORDS.observe(len(records))
        self._stages.submit(batch)

    def _drop(self, partitions: frozenset[Partition] | None = None) -> int:
        """Forget what was read of these partitions, which go, or of all, and is in no micro-batch; with it the ends that lie
        behind it. Returns how many records that were.
        """
        if partitions is None:
            self._ends.forget_all()
        else:
            self._ends.give_up(partitions)
        return self._buffer.drop(partitions)

    def _watch(self) -> None:
        if not self._in_flight:
            self._standing.begin_anew()
        elif self._standing.look() > self._limits.stuck_after_s:
            raise StuckError(
                f"{len(self._in_flight)} micro-batches in flight and none finished for {self._limits.stuck_after_s:.0f} s",
                hint="Look for what blocks in the log above: a broker that is away, or a forward that never returns.",
            )

    def _rewind(self) -> bool:
        """False when the stop came first, and nothing may be read any more."""
        self._rewinds = self._stages.rewinds
        self._assignment.renew()
        dropped = self._drop()
        if not self._offsets.rewind():
            return False
        log.warning("reading again from the committed offsets", dropped_records=dropped)
        return True

    # -- stopping -------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        self._draining = True
        limit_s = self._limits.drain_timeout_s
        deadline = time.monotonic() + limit_s
        self._send_ends()
        self._drop()
        log.info("stopping", in_flight_records=self._flying_records)
        self._finish(lambda _batch: True, deadline)
        while not (committed := self._offsets.commit_now()) and time.monotonic() < deadline:
            # A rebalance that goes on refuses commits of its last generation. Polling lets it end; what is read is left.
            self._consumer.poll(POLL_S)
        if self._in_flight:
            raise DrainTimeoutError(
                f"{self._flying_records} records were still in flight after {limit_s:.0f} s",
                hint="Nothing of them was committed: they are read again. Raise TAGLINE_LIMITS_DRAIN_TIMEOUT_S, or lower "
                "TAGLINE_WINDOW_MAX_RECORDS, if this repeats.",
            )
        if not committed:
            raise DrainTimeoutError(
                f"Kafka refused the last commit for {limit_s:.0f} s",
                hint="What was published since the commit before is read and published again, with the same ids. A "
                "rebalance that takes longer than TAGLINE_LIMITS_DRAIN_TIMEOUT_S does this.",
            )

    def _finish(self, concerned: Callable[[MicroBatch], bool], deadline: float) -> None:
        """Wait until no micro-batch that is concerned is in flight, or the time is up."""
        while any(concerned(batch) for batch in self._in_flight) and time.monotonic() < deadline:
            self._stages.check()
            self._settle(BUSY_POLL_S)

    # -- rebalances: called by the client inside its polls, on this thread ---------------------------------------------

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels("assigned").inc()
        leaving = self._closing or self._draining
        starting = None if leaving else self._offsets.starting_points(partitions) if partitions else []
        if starting is None:
            # A rebalance crossed our leaving: nothing will be read, and while closing the client answers no look-up.
            consumer.incremental_assign(partitions)
            return
        consumer.incremental_assign(starting)
        self._assignment.add(_names(partitions))
        for one in starting:
            if one.offset >= 0:
                self._assignment.reads_from((one.topic, one.partition), one.offset)
        if partitions:
            # A pause outlives the assignment in the client: a partition lost while paused would come back paused.
            (consumer.pause if self._paused else consumer.resume)(partitions)
        self._assignment_changed("partitions assigned", partitions)
        self._on_membership(True)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish what is in flight for these partitions within the budget, commit it, and only then let go."""
        metrics.REBALANCES.labels("revoked").inc()
        going = frozenset(_names(partitions))
        deadline = time.monotonic() + self._limits.drain_timeout_s
        if not self._closing:
            self._send_ends()
        self._drop(going)
        if not self._closing:
            self._finish(lambda batch: not going.isdisjoint(batch.epochs), deadline)
            self._offsets.commit_now()
        self._assignment.remove(going)
        consumer.incremental_unassign(partitions)
        self._assignment_changed("partitions revoked", partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Somebody else may own these partitions already: drop everything, store nothing."""
        metrics.REBALANCES.labels("lost").inc()
        going = frozenset(_names(partitions))
        self._drop(going)
        self._assignment.remove(going)
        consumer.incremental_unassign(partitions)
        self._assignment_changed("partitions lost", partitions)
        self._on_membership(False)

    def _assignment_changed(self, event: str, partitions: Sequence[TopicPartition]) -> None:
        metrics.ASSIGNED_PARTITIONS.set(len(self._assignment.owned))
        metrics.PAUSED_PARTITIONS.set(len(self._assignment.owned) if self._paused else 0)
        log.info(
            event, partitions=[f"{t}/{p}" for t, p in _names(partitions)], owned=len(self._assignment.owned)
        )


def _names(partitions: Sequence[TopicPartition]) -> list[Partition]:
    return [(position.topic, position.partition) for position in partitions]


def _positions(partitions: frozenset[Partition]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic, number in sorted(partitions)]


def _oldest_ms(records: Sequence[Record]) -> int:
    """The earliest time stamp among the records, milliseconds since the epoch; 0 when none of them has one."""
    return min((record.timestamp_ms for record in records if record.timestamp_ms), default=0)


def _age_s(batch: MicroBatch) -> float:
    """Seconds since the time stamp of the micro-batch's oldest record."""
    return max(0.0, time.time() - batch.oldest_ms / 1000) if batch.oldest_ms else 0.0
