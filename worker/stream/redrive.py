"""Send dead letters back to the topic they came from, each once.

What is sent and the note that it was sent are one transaction, so a redrive that is killed neither loses nor repeats:
the next one goes on. The note is the offset of a consumer group of its own (see `ledger`), so redriving by reason leaves
the others for later. A header on the record counts its redrives; one that keeps coming back is left where it is.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from worker.contracts.deadletter import DeadLetter, read_dead_letter, redriven_headers
from worker.contracts.outbound import OutboundMessage
from worker.contracts.reasons import Reason
from worker.contracts.topics import INPUT_TOPICS
from worker.errors import DataError
from worker.settings import Settings
from worker.stream.config import open_producer, tool_producer_config
from worker.stream.errors import kafka_error
from worker.stream.exactly_once import send_offsets
from worker.stream.ledger import METADATA_MAX_BYTES, Ledger
from worker.stream.publish import BY_KEY, let_go, produce
from worker.stream.reading import ANSWER_TIMEOUT_S, Reader
from worker.stream.record import Partition, Record

_BATCH_RECORDS = 200
_BATCH_S = 1.0
_LONG_WAIT_S = 0.25
"""A wait for the rate limit that is longer than this closes the batch first, so that no transaction sits open."""
_LET_GO_S = 1.0
_NO_ORIGINAL = frozenset({Reason.UNREADABLE.value})
REMEMBERED_MS = 7 * 86_400_000
"""Kafka forgets a group's offsets, and with them what was redriven, so long after the last of them was committed
(``offsets.retention.minutes``, whose default this is)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters go back."""

    reasons: frozenset[str] = frozenset()
    """Reason codes; empty means all."""
    max_redrives: int = 3
    """A record that was redriven this often already stays."""
    old: bool = False
    """Also those that are older than the memory of what was redriven reaches."""

    def verdict(self, letter: DeadLetter | None, age_ms: int) -> str:
        """`redriven`, or why it stays: `foreign`, `other reason`, `no original`, `redriven too often`, `older than 7 days`.

        ``age_ms``: since it was dead-lettered.
        """
        if letter is None or letter.topic not in INPUT_TOPICS:
            return "foreign"
        if self.reasons and letter.reason not in self.reasons:
            return "other reason"
        if letter.trimmed or letter.reason in _NO_ORIGINAL:
            return "no original"
        if letter.redrives >= self.max_redrives:
            return "redriven too often"
        if age_ms > REMEMBERED_MS and not self.old:
            return "older than 7 days"
        return "redriven"


@dataclass(slots=True)
class Report:
    """What a redrive did. Counts of dead letters by verdict (see `Selection.verdict`) and of those redriven by reason."""

    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    already: int = 0
    """Passed over because an earlier redrive had sent them."""


def redrive_group(settings: Settings) -> str:
    """The consumer group that remembers what was redriven."""
    return f"{settings.kafka.group_id}.redrive"


def redrive(
    settings: Settings,
    topics: Sequence[str],
    selection: Selection,
    *,
    rate: float | None = None,
    dry_run: bool = False,
) -> Report:
    """Redrive every selected dead letter that is there now, at most ``rate`` a second. Blocks until done.

    A dry run only counts. Interrupted, it leaves the batch in hand (at most 200) undone and can be run again. Two at
    once: the later one takes over and the earlier one ends with an error.
    """
    group = redrive_group(settings)
    report = Report()
    with Reader(settings, group) as reader:
        # The outbox first: opening it settles what a killed redrive left open, so the ledgers read next are final.
        outbox = _DryRun() if dry_run else _Outbox(settings, reader, group, rate)
        try:
            partitions = reader.partitions(topics)
            ledgers = _ledgers(reader, partitions)
            bounds = reader.bounds(partitions)
            for partition, (low, _) in bounds.items():
                ledgers[partition].add(0, low)
            starts = {partition: ledgers[partition].base for partition in bounds}
            ends = {partition: high for partition, (_, high) in bounds.items() if starts[partition] < high}
            reader.start({partition: starts[partition] for partition in ends})
            expected = dict(starts)
            for record in reader.up_to(ends):
                outbox.commit_if_old()
                partition = (record.topic, record.partition)
                ledger = ledgers[partition]
                ledger.add(expected[partition], record.offset)  # a gap: transaction markers, deleted records
                expected[partition] = record.offset + 1
                if record.offset in ledger:
                    report.already += 1
                elif (letter := _selected(record, selection, report)) is not None:
                    outbox.send(record, letter, partition, ledger)
            outbox.commit()
        finally:
            outbox.close()
    return report


def _selected(record: Record, selection: Selection, report: Report) -> DeadLetter | None:
    """What the record's headers say, when it is to go back; counted either way."""
    letter = read_dead_letter(record.headers)
    verdict = selection.verdict(letter, int(time.time() * 1000) - record.timestamp_ms)
    report.verdicts[verdict] += 1
    if verdict != "redriven" or letter is None:
        return None
    report.reasons[letter.reason] += 1
    return letter


def _ledgers(reader: Reader, partitions: Sequence[Partition]) -> dict[Partition, Ledger]:
    try:
        committed = reader.consumer.committed(
            [TopicPartition(*partition) for partition in partitions], timeout=ANSWER_TIMEOUT_S
        )
    except KafkaException as error:
        raise kafka_error(error, "asking what was redriven before") from error
    return {
        (one.topic, one.partition): Ledger(max(one.offset, 0), one.metadata or "" if one.offset >= 0 else "")
        for one in committed
    }


class _Pace:
    """At most ``rate`` a second, evenly."""

    def __init__(self, rate: float | None) -> None:
        self._interval_s = 1 / rate if rate else 0.0
        self._due = time.monotonic()

    def wait(self, before_long_wait: Callable[[], None]) -> None:
        wait_s = self._due - time.monotonic()
        if wait_s > _LONG_WAIT_S:
            before_long_wait()
        if wait_s > 0:
            time.sleep(max(0.0, self._due - time.monotonic()))
        self._due = max(self._due, time.monotonic() - self._interval_s) + self._interval_s


class _DryRun:
    """An outbox that sends nothing."""

    def send(self, record: Record, letter: DeadLetter, partition: Partition, ledger: Ledger) -> None:
        pass

    def commit_if_old(self) -> None:
        pass

    def commit(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Outbox:
    """Sends in transactions: the records, and the ledgers that say they were sent."""

    def __init__(self, settings: Settings, reader: Reader, group: str, rate: float | None) -> None:
        self._reader = reader
        self._pace = _Pace(rate)
        self._producer: Producer = open_producer(tool_producer_config(settings, group))
        self._open_since: float | None = None
        self._count = 0
        self._touched: dict[Partition, Ledger] = {}
        self._homes: dict[str, list[Partition]] = {}
        self._failed: KafkaError | None = None
        try:
            self._producer.init_transactions(ANSWER_TIMEOUT_S)
        except KafkaException as error:
            raise kafka_error(error, "opening the redrive's transactions") from error

    def send(self, record: Record, letter: DeadLetter, partition: Partition, ledger: Ledger) -> None:
        """Queue the original for the partition that it came from, when the rate allows; commit when the batch is full."""
        self._pace.wait(before_long_wait=self.commit)
        original = OutboundMessage(letter.topic, record.key, record.value, redriven_headers(letter))
        # Whoever wrote it may place keys otherwise than we do, and a key's events must stay in one partition.
        if letter.topic not in self._homes:
            self._homes[letter.topic] = self._reader.partitions([letter.topic])
        home = letter.partition if (letter.topic, letter.partition) in self._homes[letter.topic] else BY_KEY
        try:
            if self._open_since is None:
                self._producer.begin_transaction()
                self._open_since = time.monotonic()
            produce(self._producer, original, self._delivered, home)
        except KafkaException as error:
            raise kafka_error(error, f"sending to {letter.topic}") from error
        ledger.add(record.offset, record.offset + 1)
        self._touched[partition] = ledger
        self._count += 1
        if self._count >= _BATCH_RECORDS:
            self.commit()

    def commit_if_old(self) -> None:
        """Commit a batch that has been open for long: also when nothing more comes that is to be sent."""
        if self._open_since is not None and time.monotonic() - self._open_since > _BATCH_S:
            self.commit()

    def commit(self) -> None:
        """Make what was sent, and the note of it, visible together."""
        if self._open_since is None:
            return
        offsets = []
        for (topic, number), ledger in self._touched.items():
            metadata = ledger.metadata()
            if len(metadata) > METADATA_MAX_BYTES:
                raise DataError(
                    f"{topic} partition {number}: too many dead letters were left between those redriven to remember which",
                    hint="redrive the reasons that were left out, then go on",
                )
            offsets.append(TopicPartition(topic, number, ledger.base, metadata))
        try:
            group = self._reader.consumer.consumer_group_metadata()
            send_offsets(self._producer, offsets, group, ANSWER_TIMEOUT_S)
            self._producer.commit_transaction(ANSWER_TIMEOUT_S)
        except KafkaException as error:
            raise kafka_error(self._failed or error, "committing the redrive") from error
        self._open_since, self._count = None, 0
        self._touched.clear()

    def close(self) -> None:
        """Abort what is open, if anything, and close."""
        if self._open_since is not None:
            try:
                self._producer.abort_transaction(ANSWER_TIMEOUT_S)
            except KafkaException:
                # The broker aborts at its time-out, or the next redrive at its start; the error that led here is already on
                # its way out. Not closed: a call that hangs may still have it.
                let_go(self._producer, _LET_GO_S)
                return
        self._producer.close()

    def _delivered(self, error: KafkaError | None, _: object) -> None:
        if error is not None and self._failed is None:
            self._failed = error
