"""Offsets: stored only for what is safe, committed by the thread that owns the consumer, found again at a start.

What was done is stored, never committed by an explicit ``commit(offsets=...)``: the broker accepts that for a partition that
was lost, and so overwrites the new owner's offset. Stored offsets are refused for a lost partition. Where reading begins at
the latest end is the exception, because it is committed inside the assignment's callback: the client joins no later
generation of the group before that returns, so the broker refuses the commit of a member that the group went on without.
"""

import time
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from worker.errors import DataError
from worker.stream.asking import Answer, until_answered
from worker.stream.assignment import Assignment
from worker.stream.errors import leader_moves
from worker.stream.journal import Journal
from worker.stream.microbatch import MicroBatch
from worker.telemetry import metrics

log = structlog.get_logger(__name__)

COMMIT_INTERVAL_S = 0.25
"""Time between commits: a crash replays what was published since the last of them, and what was in flight."""
LOOKUP_TIMEOUT_S = 60.0
"""Longest wait for an answer about offsets, unless sessions or transactions may last longer."""
LOOKUP_CALL_S = 5.0
"""Longest single call."""
_GONE = (KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.FENCED_MEMBER_EPOCH)
"""The group went on without this member, which the client tells at one of the next polls."""


def commit_answered(error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
    """Count and log a background commit that Kafka refused. To be the consumer's `on_commit`.

    A commit in the background raises nothing: its answer comes only here, inside one of the client's polls.
    """
    refusals = [error, *(position.error for position in partitions)]
    refusal = next((one for one in refusals if one is not None), None)
    if refusal is not None:
        _note_refusal(refusal)


def _note_refusal(error: KafkaError) -> bool:
    """Count and log why a commit was refused. False: there was nothing to commit, which is as good as done."""
    if error.code() == KafkaError._NO_OFFSET:  # noqa: SLF001 # the client's public name for it
        return False
    metrics.COMMITS.labels("failed").inc()
    log.warning("offsets not committed", error=error.name(), reason=error.str())
    return True


class Offsets:
    """Stores, commits and looks up the group's offsets. Owner thread only."""

    def __init__(
        self,
        consumer: Consumer,
        assignment: Assignment,
        *,
        start_from: str,
        journal: Journal,
        lookup_timeout_s: float = LOOKUP_TIMEOUT_S,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Nothing is asked before the first assignment.

        Args:
            consumer: asked and committed through, on the owner's thread.
            assignment: which partitions are ours, and from where they are read.
            start_from: where a partition without a committed offset begins: `earliest`, `latest` or `error`.
            journal: hears what is committed for good, while it suspects anything.
            lookup_timeout_s: must outlast a transaction and a session: a killed worker's open transaction hides the offsets
                until the broker ends it, and the coordinator answers no look-up of a member that waits for the group, which
                waits for the dead member's session.
            stop: ends a look-up early.
        """
        self._consumer = consumer
        self._assignment = assignment
        self._start_from = start_from
        self.on_turn: Callable[[], None] = lambda: None
        """Called at every turn of a look-up, which may take minutes: whoever owns the loop goes on with what needs no answer."""
        self._journal = journal
        self._lookup_timeout_s = lookup_timeout_s
        self._stop = stop
        self._stored = False
        self._unconfirmed: list[MicroBatch] = []
        """Stored, and the journal must hear when they are committed."""
        self._committed_at = time.monotonic()

    def store(self, batch: MicroBatch) -> None:
        """Store the offsets of a published micro-batch, for those of its partitions that are still ours.

        Never under exactly once: what is stored here is committed later than the transactions that follow, and would take the
        group back behind them.
        """
        current = batch.current(self._assignment)
        positions = [
            TopicPartition(*partition, offset)
            for partition, offset in batch.offsets().items()
            if partition in current
        ]
        if not positions:
            return
        try:
            self._consumer.store_offsets(offsets=positions)
        except KafkaException as error:
            # The client knows of a loss before the callback told us: nothing may be stored, the new owner reads again.
            log.warning("offsets not stored", error=error.args[0].name())
            return
        self._stored = True
        if self._journal.suspicious:
            self._unconfirmed.append(batch)

    def commit_if_due(self, now: float) -> None:
        """Commit what is stored, once per interval: in the background, unless the journal must know whether it was taken.

        Also when nothing new was stored: a commit that a rebalance refused is known to the client only, which sends
        again what is stored and not committed, and nothing if that is nothing.
        """
        if now - self._committed_at >= COMMIT_INTERVAL_S:
            self._commit(asynchronous=not self._unconfirmed)
            self._committed_at = now

    def commit_now(self) -> bool:
        """Commit what is stored and wait for the answer.

        False: it was refused, which is logged. The records are read again, unless another try succeeds.
        """
        return self._commit(asynchronous=False)

    def _commit(self, *, asynchronous: bool) -> bool:
        stored, self._stored = self._stored, False
        try:
            # Two calls, because the client's types tell them apart by the literal.
            if asynchronous:
                self._consumer.commit(asynchronous=True)
            else:
                self._consumer.commit(asynchronous=False)
        except KafkaException as error:
            if _note_refusal(error.args[0]):
                return False
        if not asynchronous:
            for batch in self._unconfirmed:
                self._journal.safe(batch, batch.current(self._assignment))
            self._unconfirmed.clear()
        if stored or not asynchronous:
            metrics.COMMITS.labels("sent" if asynchronous else "confirmed").inc()
        return True

    def starting_points(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition] | None:
        """Where to read each newly assigned partition from: its committed offset, or the setting's end of it. To be called in the
        callback that assigns them, before they are assigned.

        The latest end comes as a number and is committed by then: if it were looked up again at the next assignment, what
        was written in between would be skipped. None when the worker was told to stop before there was an answer.

        Raises:
            DataError: there is no committed offset and the setting says that this is an error.
            DependencyError: the group's coordinator, or a partition's leader, did not answer in time.
        """
        committed = self._committed(partitions)
        if committed is None:
            return None
        starting: list[TopicPartition] = []
        begun: list[TopicPartition] = []
        for position in committed:
            found = position if position.offset >= 0 else self._without_offset(position)
            if found is None:
                return None
            starting.append(found)
            if found is not position and found.offset >= 0:
                begun.append(found)
        return None if begun and not self._commit_beginnings(begun) else starting

    def _without_offset(self, position: TopicPartition) -> TopicPartition | None:
        if self._start_from == "error":
            raise DataError(
                f"partition {position.partition} of {position.topic} has no committed offset",
                hint="Set TAGLINE_KAFKA_START_FROM=earliest for a new group or a partition that was added, or restore the group's "
                "offsets.",
            )
        at = (position.topic, position.partition)
        if self._start_from == "earliest":
            return TopicPartition(*at, OFFSET_BEGINNING)
        end = self._latest(*at)
        return None if end is None else TopicPartition(*at, end)

    def _latest(self, topic: str, number: int) -> int | None:
        def ask() -> int:
            _, end = self._consumer.get_watermark_offsets(
                TopicPartition(topic, number), timeout=LOOKUP_CALL_S
            )
            return int(end)

        return self._answered(
            ask,
            f"looking up the end of {topic}/{number}",
            worth_asking_again=lambda error: leader_moves(error) or _worth_asking_again(error),
            hint="Check the brokers: none of them may lead this partition.",
        )

    def _commit_beginnings(self, begun: list[TopicPartition]) -> bool:
        """Commit where reading begins, and wait for the answer. False when the worker was told to stop first.

        Of a member that is out of the group nothing is committed, nor anything that it reads: the next owner begins.
        """

        def ask() -> bool:
            try:
                answered = self._consumer.commit(offsets=begun, asynchronous=False)
                refusal = next((one.error for one in answered if one.error is not None), None)
            except KafkaException as error:
                refusal = error.args[0]
            if refusal is None:
                metrics.COMMITS.labels("confirmed").inc()
            elif refusal.code() in _GONE:
                _note_refusal(refusal)
            else:
                raise KafkaException(refusal)
            return True

        return bool(
            self._answered(
                ask,
                "committing where reading begins",
                worth_asking_again=lambda error: (
                    error.code() == KafkaError.REBALANCE_IN_PROGRESS or _worth_asking_again(error)
                ),
                hint="Check the brokers: the group's coordinator takes no commit.",
            )
        )

    def rewind(self) -> bool:
        """Read every partition of ours again from its committed offset, or from where reading began.

        False when the worker was told to stop before the coordinator answered: then nothing more may be read, because what comes
        next lies behind what was rolled back.
        """
        owned = [TopicPartition(topic, partition) for topic, partition in sorted(self._assignment.owned)]
        committed = self._committed(owned) if owned else []
        if committed is None:
            return False
        for position in committed:
            partition = (position.topic, position.partition)
            first = self._assignment.first_offset(partition)
            if first is None:
                first = self._assignment.next_offset(partition)  # no record was read of it, perhaps its end
            if first is None:
                continue
            offset = position.offset if position.offset >= 0 else first
            self._consumer.seek(TopicPartition(*partition, offset))
            self._assignment.reads_from(partition, offset)
        return True

    def _committed(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition] | None:
        def ask() -> list[TopicPartition]:
            found = self._consumer.committed(list(partitions), timeout=LOOKUP_CALL_S)
            for position in found:
                if position.error is not None:
                    raise KafkaException(position.error)
            return found

        return self._answered(
            ask,
            "looking up committed offsets",
            worth_asking_again=_worth_asking_again,
            hint="Check the brokers. After a worker was killed, its session and its open transaction must time out first "
            "(TAGLINE_KAFKA_SESSION_TIMEOUT_S, TAGLINE_KAFKA_TRANSACTION_TIMEOUT_S).",
        )

    def _answered(
        self,
        ask: Callable[[], Answer],
        doing: str,
        *,
        worth_asking_again: Callable[[KafkaError], bool],
        hint: str,
    ) -> Answer | None:
        """Ask, in short calls, until there is an answer; None when the worker was told to stop first."""
        return until_answered(
            ask,
            doing,
            worth_asking_again=worth_asking_again,
            call_s=LOOKUP_CALL_S,
            limit_s=self._lookup_timeout_s,
            hint=hint,
            stop=self._stop,
            on_turn=self.on_turn,
        )


def _worth_asking_again(error: KafkaError) -> bool:
    waits = (
        KafkaError._TIMED_OUT,  # noqa: SLF001 # the client's public names
        KafkaError._WAIT_COORD,  # noqa: SLF001 # as above
        KafkaError._TRANSPORT,  # noqa: SLF001 # as above
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001 # as above
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        # A coordinator that starts or moves; the client gives these up after two tries.
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.STALE_MEMBER_EPOCH,  # a rebalance that this member has not heard of yet
    )
    return error.retriable() or error.code() in waits
