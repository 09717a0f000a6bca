"""Exactly once: outputs, dead letters and offsets of a micro-batch in one transaction (KIP-447).

One transactional producer per process. Offsets are sent with the group metadata under which the records were polled, so
the group's coordinator refuses a member that no longer owns them, and the transaction is rolled back.

Python clients speak version 1 of the transaction protocol, in which an answer lost at the end of a transaction leaves its
outcome unknown. So after a time-out at commit, or any error that an abort does not heal, the producer is destroyed and
made anew: its initialisation resolves the open transaction one way or the other, and the records are read again from
the committed offsets, which tell which way it was.
"""

import contextlib
import queue
import threading
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from worker.contracts.outbound import OutboundMessage
from worker.stream.assignment import Assignment
from worker.stream.errors import is_for_good, kafka_error
from worker.stream.microbatch import MicroBatch
from worker.stream.publish import let_go, produce, refused
from worker.stream.record import Partition
from worker.telemetry import metrics

log = structlog.get_logger(__name__)

MOST_ROLL_BACKS = 20
"""Transactions rolled back, without a commit in between beyond the places that failed, before the fault is taken to be permanent.
A rebalance costs one or two, a broker's restart a few."""

ABORT_TIMEOUT_S = 5.0
"""Longest wait for the abort of a transaction with which the worker ends."""

HANG_MARGIN_S = 1.0
"""What a call may take beyond its own time-out before it is taken to hang."""


def in_time(call: Callable[[], None], limit_s: float) -> None:
    """Make a client's call that may ignore its own time-out; blocks for at most `limit_s`.

    Sending offsets hangs for ever when the group's coordinator restarts at the wrong moment (librdkafka issues 5456 and
    5511). Then the thread is left behind, the call with it, and the transaction counts as timed out: the next producer
    with the same id fences whatever comes of it.

    Raises:
        KafkaException: the call's own, or `_TIMED_OUT` when it did not return.
    """
    ends: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 # raised again by the caller
            ends.put(error)
        else:
            ends.put(None)

    threading.Thread(target=run, name="tagline-offsets", daemon=True).start()
    try:
        error = ends.get(timeout=limit_s)
    except queue.Empty:
        hung = KafkaError(KafkaError._TIMED_OUT, f"the client did not return within {limit_s:.0f} s")  # noqa: SLF001 # public
        raise KafkaException(hung) from None
    if error is not None:
        raise error


def send_offsets(
    producer: Producer, positions: list[TopicPartition], group_metadata: object, timeout_s: float
) -> None:
    """Make these offsets of a group a part of the open transaction. Blocks for at most `timeout_s` and `HANG_MARGIN_S`.

    Raises:
        KafkaException: they are not, or it is not known (see `in_time`). A call that hangs keeps the producer: it may then
            be neither used for this transaction nor closed.
    """
    in_time(
        lambda: producer.send_offsets_to_transaction(positions, group_metadata, timeout_s),
        timeout_s + HANG_MARGIN_S,
    )


class ExactlyOncePublisher:
    """Commits one transaction per micro-batch; ``publish`` returns only when it is committed or rolled back."""

    commits_offsets = True

    def __init__(
        self, make_producer: Callable[[], Producer], assignment: Assignment, *, timeout_s: float
    ) -> None:
        """Make the producer and resolve what an earlier life left open. Blocks for at most about `timeout_s`.

        ``assignment`` is asked, from the publish thread, whether what failed is still ours to do.
        """
        self._make_producer = make_producer
        self._assignment = assignment
        self._timeout_s = timeout_s
        self._committed: list[MicroBatch] = []
        self._failures = 0
        self._failed_at: dict[Partition, tuple[int, int]] = {}
        """By partition: the tenure in which a transaction with its offset was rolled back, and that offset."""
        self._refused: tuple[KafkaError, str] | None = None
        self._open = False
        self._producer = self._initialised()

    @property
    def pending(self) -> int:
        return len(self._committed)

    def _initialised(self) -> Producer:
        producer = self._make_producer()
        try:
            self._retried(lambda: producer.init_transactions(self._timeout_s))
        except KafkaException as error:
            raise kafka_error(error, "starting the transactional producer") from error
        return producer

    def publish(
        self, batch: MicroBatch, messages: list[OutboundMessage], offsets: dict[Partition, int]
    ) -> bool:
        """Publish and commit. False: rolled back, and every record since the last commit must be read again.

        Raises:
            TaglineError: a topic refused a message for good, or transactions are rolled back again and again at one place.
        """
        try:
            self._transact(batch, messages, offsets)
        except KafkaException as error:
            if self._refused is not None:
                raise refused(*self._refused) from error
            self._roll_back(error.args[0], messages, offsets)
            return False
        self._forgive(offsets)
        metrics.TRANSACTIONS.labels("committed").inc()
        self._committed.append(batch)
        return True

    def _transact(
        self, batch: MicroBatch, messages: list[OutboundMessage], offsets: dict[Partition, int]
    ) -> None:
        self._producer.begin_transaction()
        self._open = True
        self._produce_all(messages)
        self._send_offsets(offsets, batch.group_metadata)
        self._retried(lambda: self._producer.commit_transaction(self._timeout_s))
        self._open = False

    def _produce_all(self, messages: list[OutboundMessage]) -> None:
        for message in messages:
            produce(self._producer, message, self._report)

    def _send_offsets(self, offsets: dict[Partition, int], group_metadata: object) -> None:
        positions = [
            TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()
        ]
        self._retried(lambda: send_offsets(self._producer, positions, group_metadata, self._timeout_s))

    def _report(self, error: KafkaError | None, message: Message) -> None:
        # Only a refusal for good is kept: other failed deliveries make the commit fail, and the records are read again.
        if error is not None and is_for_good(error):
            self._refused = (error, message.topic() or "?")

    @staticmethod
    def _retried(call: Callable[[], None]) -> None:
        """Make a transactional call again while the client says that the same call may be made again."""
        attempts = 3
        for attempt in range(1, attempts + 1):
            try:
                return call()
            except KafkaException as error:
                if not error.args[0].retriable() or attempt == attempts:
                    raise
        return None

    def _roll_back(
        self, error: KafkaError, messages: list[OutboundMessage], offsets: dict[Partition, int]
    ) -> None:
        metrics.TRANSACTIONS.labels("aborted").inc()
        self._failures += 1
        # An output topic that we may not write to is met when it joins the transaction, and no delivery report tells.
        if is_for_good(error) or self._failures > MOST_ROLL_BACKS:
            # Whether it was a topic, and which, the client does not say: it may be any of these.
            topics = ", ".join(sorted({message.topic for message in messages})) or "no topic"
            raise kafka_error(error, f"committing a transaction that writes to {topics}")
        for partition, offset in offsets.items():
            tenure = self._assignment.tenure(partition)
            if tenure is not None:
                self._failed_at[partition] = tenure, offset
        log.warning("transaction rolled back", error=error.name(), reason=error.str())
        if error.txn_requires_abort():
            try:
                self._retried(lambda: self._producer.abort_transaction(self._timeout_s))
            except KafkaException as failed:
                error = failed.args[0]
            else:
                self._open = False
                return
        self._recreate(error)

    def _forgive(self, offsets: dict[Partition, int]) -> None:
        """Forget the roll-backs once every place that failed was passed, or is not ours any more.

        A commit elsewhere says nothing of them: a message that is never taken would roll back for ever, between commits of
        others.
        """
        self._failed_at = {
            partition: (tenure, offset)
            for partition, (tenure, offset) in self._failed_at.items()
            if self._assignment.tenure(partition) == tenure and offsets.get(partition, 0) < offset
        }
        if not self._failed_at:
            self._failures = 0

    def _recreate(self, error: KafkaError) -> None:
        metrics.PRODUCERS_RECREATED.inc()
        log.warning("transactional producer made anew", error=error.name(), roll_backs=self._failures)
        let_go(self._producer, 1.0)
        self._producer = self._initialised()
        self._open = False

    def finished(self, timeout_s: float) -> list[MicroBatch]:  # noqa: ARG002 # the protocol's; a commit has waited already
        """The micro-batches committed since the last call."""
        # A fatal error is raised here, and again by the next transaction, which is where it is dealt with.
        with contextlib.suppress(KafkaException, SystemError):
            self._producer.poll(0)
        done, self._committed = self._committed, []
        return done

    def close(self, timeout_s: float) -> None:
        """Let go of the producer. A transaction that a refusal left open is aborted first, if the broker answers in time:
        until it is, readers of committed records stand still at it, for `TAGLINE_KAFKA_TRANSACTION_TIMEOUT_S`.
        """
        if self._open:
            with contextlib.suppress(KafkaException, SystemError):
                self._producer.abort_transaction(min(timeout_s, ABORT_TIMEOUT_S))
        let_go(self._producer, timeout_s)
