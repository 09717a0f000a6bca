"""What a poll brings, as records of ours in the order in which they lie, each partition without a gap."""

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from worker.contracts.reasons import Reason
from worker.stream.assignment import Assignment
from worker.stream.ends import Ends
from worker.stream.errors import kafka_error
from worker.stream.journal import LIVES, Journal
from worker.stream.record import Fault, Partition, Record, from_message
from worker.stream.unreadable import UnreadableRecords

log = structlog.get_logger(__name__)

READ_AHEAD = 512
"""Messages taken from the client in one call, after the first."""


class Arrivals:
    """Reads for the consumer's thread. Rebalances run inside `take`, as the client's callbacks."""

    def __init__(self, consumer: Consumer, assignment: Assignment, journal: Journal, ends: Ends) -> None:
        """``ends`` hears of partitions that were read to their end, and of those of which more was read."""
        self._consumer = consumer
        self._assignment = assignment
        self._journal = journal
        self._ends = ends
        self._unreadable = UnreadableRecords()

    def take(self, timeout_s: float) -> list[Record]:
        """The records that are there, waiting up to ``timeout_s`` for the first, with stand-ins for those that cannot be read.

        Raises:
            TaglineError: an error of Kafka that waiting does not mend.
        """
        changes = self._assignment.changes
        try:
            first = self._consumer.poll(timeout_s)
            messages = [] if first is None else self._read_on(first)
        except KafkaException as error:
            raise kafka_error(error, "reading from Kafka") from error
        unchanged = self._assignment.changes == changes
        sought: set[Partition] = set()
        unheard: set[Partition] = set()
        records = []
        for message in messages:
            if sought and (message.topic(), message.partition()) in sought:
                continue  # read ahead of a place that is read again
            trouble = message.error()
            if trouble is not None and trouble.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 # the client's public name
                if unchanged:
                    self._reached_end(message)
                else:  # it may be the end of an assignment before this one, with records before it to be read
                    unheard.add((message.topic() or "", message.partition() or 0))
                continue
            record = self._record(message, trouble, sought)
            # A rebalance may have run inside the calls above, after the message was taken from the client's queue.
            if record is not None and self._assignment.owns((record.topic, record.partition)):
                self._assignment.saw((record.topic, record.partition), record.offset)
                records.append(record)
                if self._ends:
                    self._ends.forget((record.topic, record.partition))
        self._ask_again(unheard - sought)
        return records

    def _ask_again(self, partitions: set[Partition]) -> None:
        """The client tells an end once; it tells it again when reading begins anew, here from where it has come to."""
        for partition in partitions:
            offset = self._assignment.next_offset(partition)
            if offset is not None and self._assignment.owns(partition):
                self._consumer.seek(TopicPartition(*partition, offset))

    def _read_on(self, first: Message) -> list[Message]:
        """The message and those after it. It is left out when its partition was lost and came back meanwhile: reading
        begins again at the committed offset then, and this one would overtake those before it.
        """
        partition = (str(first.topic()), first.partition() or 0)
        epoch = self._assignment.epoch(partition)
        following = self._consumer.consume(READ_AHEAD, 0)
        return [first, *following] if self._assignment.epoch(partition) == epoch else following

    def _reached_end(self, message: Message) -> None:
        partition = (str(message.topic()), message.partition() or 0)
        if self._assignment.owns(partition):
            self._ends.reached(partition, message.offset() or 0, self._assignment.next_offset(partition))

    def _record(self, message: Message, trouble: KafkaError | None, sought: set[Partition]) -> Record | None:
        """The record of a message, or a stand-in for one that cannot be read. Partitions that were sought go into ``sought``."""
        if trouble is None:
            whole = from_message(message)
            if self._journal.suspicious and self._journal.deaths(whole) >= LIVES:
                return _quarantined(whole)
            return whole
        damage = self._unreadable.judge(message, self._assignment.next_offset)
        if damage is None:
            log.warning("error while reading", error=str(trouble), topic=message.topic())
            return None
        partition, read_from, record = damage
        if not self._assignment.owns(partition):
            return None  # lost meanwhile; a seek would be refused
        topic, number = partition
        at = {"error": str(trouble), "topic": topic, "partition": number}
        if record is None:
            log.warning("reading again what could not be decoded", offset=read_from, **at)
        else:
            log.error("record passed over", offset=record.offset, **at)
        self._consumer.seek(TopicPartition(topic, number, read_from))
        sought.add(partition)
        return record


def _quarantined(record: Record) -> Record:
    log.error(
        "record quarantined",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        deaths=LIVES,
    )
    return record._replace(fault=Fault(Reason.QUARANTINED, f"the process died {LIVES} times at it", LIVES))
