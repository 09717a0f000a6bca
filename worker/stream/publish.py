"""What publishing promises, and the at-least-once way of it.

A publisher belongs to the publish thread. Micro-batches go in and come out in the same order.
"""

import contextlib
from collections import deque
from collections.abc import Callable
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from worker.contracts.outbound import OutboundMessage
from worker.errors import DataError
from worker.stream.errors import is_for_good, is_unfit, kafka_error
from worker.stream.microbatch import MicroBatch
from worker.stream.record import Partition

QUEUE_FULL_WAIT_S = 0.01
"""How long to serve delivery reports when the producer's own queue is full, before the message is offered again."""


BY_KEY = -1
"""Partition of a message that the producer places by its key."""

DeliveryReport = Callable[[KafkaError | None, Message], None]


class Publisher(Protocol):
    """Puts the outputs and dead letters of micro-batches on their topics.

    Contract:

    1. ``publish`` may block while the broker is slow. Its return does not imply that anything was acknowledged.
    2. ``finished`` returns micro-batches whose every message is safe, in the order in which they were published, and
       blocks for at most ``timeout_s``. Only these may be committed (at least once) or are committed (exactly once).
       It serves the client's callbacks, so it is called now and then though nothing is pending: they would pile up.
    3. Any failure that could lose a message raises a ``TaglineError``; nothing is swallowed.
    4. All methods are called by one thread.
    """

    commits_offsets: bool
    """Whether a finished micro-batch's offsets are already committed."""

    @property
    def pending(self) -> int:
        """Micro-batches published and not yet handed back."""
        ...

    def publish(
        self, batch: MicroBatch, messages: list[OutboundMessage], offsets: dict[Partition, int]
    ) -> bool:
        """Take a micro-batch's messages in order. False: it was rolled back, and its records must be read again."""
        ...

    def finished(self, timeout_s: float) -> list[MicroBatch]:
        """Micro-batches that are safe now."""
        ...

    def close(self, timeout_s: float) -> None:
        """Give up what is pending and release the connection. Never commits."""
        ...


def produce(
    producer: Producer, message: OutboundMessage, on_delivery: DeliveryReport, partition: int = BY_KEY
) -> None:
    """Hand one message to the producer; blocks while its queue is full, serving delivery reports meanwhile.

    Raises:
        TaglineError: the message would never be taken: too large, no such topic, no ACL.
        KafkaException: anything else; whether it can be mended is for the publisher to say.
    """
    while True:
        try:
            producer.produce(
                message.topic,
                message.value,
                message.key,
                partition,
                on_delivery=on_delivery,
                headers=message.headers,  # type: ignore[arg-type] # a list of a wider type: the client only reads it
            )
        except BufferError:
            producer.poll(QUEUE_FULL_WAIT_S)
        except KafkaException as error:
            if is_for_good(error.args[0]):
                raise refused(error.args[0], message.topic) from error
            raise
        else:
            return


def let_go(producer: Producer, timeout_s: float) -> None:
    """Throw away what a producer still holds. Blocks for at most `timeout_s`; a producer that is broken says nothing new."""
    # A fatal error, such as being fenced, is raised by every call; now and then the client forgets to say which.
    with contextlib.suppress(KafkaException, SystemError):
        producer.purge()
        producer.flush(timeout_s)


def refused(error: KafkaError, topic: str) -> Exception:
    """The error for a message that the producer or a broker would not take."""
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return DataError(
            f"a message for {topic} is larger than Kafka takes: {error.str()}",
            hint=f"Raise max.message.bytes of {topic} (and TAGLINE_KAFKA_MESSAGE_MAX_BYTES) above the inputs' largest "
            "record plus 64 kB, then start again: nothing was committed, so nothing is lost.",
        )
    if is_unfit(error):
        return DataError(
            f"{topic} refuses a message: {error.str()}",
            hint=f"The rules of {topic} and what is published to it are at odds: its cleanup.policy, a check of schemas, a policy "
            "of the brokers. `tagline topics create` says what it should be; nothing of the message's micro-batch was committed.",
        )
    return kafka_error(error, f"publishing to {topic}")


class _Acknowledgements:
    """Counts the delivery reports of one micro-batch."""

    __slots__ = ("batch", "error", "outstanding")

    def __init__(self, batch: MicroBatch, outstanding: int) -> None:
        self.batch = batch
        self.outstanding = outstanding
        self.error: tuple[KafkaError, str] | None = None

    def report(self, error: KafkaError | None, message: Message) -> None:
        self.outstanding -= 1
        if error is not None and self.error is None:
            self.error = (error, message.topic() or "?")


class AtLeastOncePublisher:
    """Produces idempotently and waits for every delivery report; several micro-batches may be in flight.

    The next micro-batch is produced while the last one's acknowledgements are still on their way, so that a round trip to
    the broker costs nothing. The producer is idempotent, so order per partition holds across its retries.
    """

    commits_offsets = False

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._unacknowledged: deque[_Acknowledgements] = deque()

    @property
    def pending(self) -> int:
        return len(self._unacknowledged)

    def publish(
        self,
        batch: MicroBatch,
        messages: list[OutboundMessage],
        offsets: dict[Partition, int],  # noqa: ARG002 # the protocol's; here they are the owner's to store
    ) -> bool:
        """Queue the messages. Offsets are the owner's to store once the micro-batch is finished."""
        acknowledgements = _Acknowledgements(batch, len(messages))
        self._unacknowledged.append(acknowledgements)
        for message in messages:
            try:
                produce(self._producer, message, acknowledgements.report)
            except KafkaException as error:
                raise refused(error.args[0], message.topic) from error
        self._serve(0)
        return True

    def finished(self, timeout_s: float) -> list[MicroBatch]:
        """Serve delivery reports for at most `timeout_s` and hand back what is wholly acknowledged, oldest first."""
        done: list[MicroBatch] = []
        self._serve(timeout_s)
        while self._unacknowledged:
            oldest = self._unacknowledged[0]
            if oldest.error is not None:
                # What is queued behind it must not overtake it, should the broker come back before this process ends.
                with contextlib.suppress(KafkaException, SystemError):
                    self._producer.purge()
                raise refused(*oldest.error)
            if oldest.outstanding:
                break
            done.append(self._unacknowledged.popleft().batch)
        return done

    def _serve(self, timeout_s: float) -> None:
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            raise kafka_error(error, "publishing") from error

    def close(self, timeout_s: float) -> None:
        """Let go of the producer; messages still unacknowledged are purged, their records will be read again."""
        let_go(self._producer, timeout_s)
