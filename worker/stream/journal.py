"""What was being worked on when the process died without a word, so that a record that kills it is found out.

A record can end the process instead of being refused: a crash in native code, memory that the kernel refuses, a device that
breaks down of it and answers this process no more. It is never committed, so the next life meets it again, for ever. The
journal is a small file that outlives the process. While a micro-batch is between decoding and the end of its forward, its
offsets stand there. What a dead process left in it is suspected by the next life: suspected records travel apart from all
others, a few at a time, and one at a time when the process has died of these few, so that each of them is either cleared or
is seen to have been the only one there. A record that was at work in ``LIVES`` lives when they ended becomes a dead letter
without being looked at. It stands in the file until that dead letter is published and its offset committed: whoever reads it
again before that must know it.

Waiting for the broker does not count, and neither does an end that the process could still announce; only kills, crashes, a
device that broke down, and work that never ends. The file survives the process (the page cache holds it), not necessarily
the host.
"""

import fcntl
import os
import threading
import zlib
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import structlog

from worker.errors import DeviceError, StuckError, UsageError
from worker.stream.microbatch import MicroBatch
from worker.stream.record import Partition, Record

log = structlog.get_logger(__name__)

LIVES = 4
"""Deaths with a record at work, the last two with it alone, after which it is given up."""
FEW = 32
"""Suspects of a single death that are tried together. Nearly always somebody has just killed the process, and all of them are
healthy: one at a time 768 of them took half a minute under exactly once, a transaction each."""
MOST_WORKERS = 64
"""Processes that may share one path: each takes the first free of ``path``, ``path.1``, ..."""
MOST_SPANS = 512
"""Kept in the file. Some fifty are usual: four micro-batches of a dozen partitions."""
MOST_BYTES = 262_144
"""Read of a file: more than so many spans need, topics of 249 characters included."""


class Span(NamedTuple):
    """Offsets of one partition, both ends included, and how often the process died with them at work."""

    partition: Partition
    first: int
    last: int
    deaths: int


class Journal:
    """One worker's journal. The stages' threads write it, the consumer's thread asks; a lock keeps them apart.

    A context manager: leaving it acquits what is at work, unless the reason is that the work never ends or that the device broke
    down. Without a file nothing is noted and nobody suspected. A file that cannot be written is reported once; tagging goes on.
    """

    def __init__(self, file: int | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._at_work: dict[MicroBatch, list[Span]] = {}
        self._suspects: list[Span] = [] if file is None else _left_by_the_dead(file)
        if self._suspects:
            records = sum(span.last - span.first + 1 for span in self._suspects)
            log.warning(
                "an earlier process died at work; its records are taken a few at a time",
                suspected_records=records,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if kind is None or not issubclass(kind, StuckError | DeviceError):
                self._at_work.clear()
                self._write()
            if self._file is not None:
                os.close(self._file)
                self._file = None

    @property
    def suspicious(self) -> bool:
        """Whether anything is suspected at all: false in nearly every life."""
        return bool(self._suspects)

    def deaths(self, record: Record) -> int:
        """How often the process died with this record at work; 0 for one that is not suspected."""
        return max((span.deaths for span in self._suspects if _holds(span, record)), default=0)

    def company(self, record: Record) -> int:
        """How many records, all of the same answer, may share its micro-batch; 0 for one that is not suspected, or given up."""
        if record.fault is not None:
            return 0
        return {0: 0, 1: FEW}.get(self.deaths(record), 1)

    def begin(self, batch: MicroBatch) -> None:
        """Its records are about to be looked at, but for those that are given up already: nothing dies of these."""
        if self._file is None:
            return
        with self._lock:
            at_work = [record for record in batch.records if record.fault is None]
            self._at_work[batch] = [
                Span(partition, first, last, self._deaths_of(partition, first, last))
                for partition, (first, last) in _extent(at_work).items()
            ]
            self._write()

    def end(self, batch: MicroBatch) -> None:
        """They did no harm."""
        if self._file is None:
            return
        with self._lock:
            self._at_work.pop(batch, None)
            self._passed(batch.records, lambda span: span.deaths < LIVES)
            self._write()

    def safe(self, batch: MicroBatch, partitions: Container[Partition]) -> None:
        """What became of its records of these partitions is published and committed: no life reads them again, given up or
        not.
        """
        if self._file is None or not self._suspects:
            return
        with self._lock:
            ours = [record for record in batch.records if (record.topic, record.partition) in partitions]
            self._passed(ours, lambda _span: True)
            self._write()

    def opened_by(self, stage: Callable[[MicroBatch], None]) -> Callable[[MicroBatch], None]:
        """The first stage that looks at records, with the note made before."""

        def noted(batch: MicroBatch) -> None:
            self.begin(batch)
            stage(batch)

        return noted

    def closed_by(self, stage: Callable[[MicroBatch], None]) -> Callable[[MicroBatch], None]:
        """The last stage in which a record can do harm, with the note taken back behind it."""

        def noted(batch: MicroBatch) -> None:
            stage(batch)
            self.end(batch)

        return noted

    def _passed(self, records: Iterable[Record], concerned: Callable[[Span], bool]) -> None:
        """Suspect these, and those that were read before them, no more."""
        for partition, (first, last) in _extent(records).items():
            done = Span(partition, first, last, 0)
            self._suspects = [
                left
                for span in self._suspects
                for left in (_after(span, done) if concerned(span) else [span])
            ]

    def _deaths_of(self, partition: Partition, first: int, last: int) -> int:
        """So often the process died with one of these offsets at work; a record that is given up leaves its neighbours alone."""
        return max(
            (
                span.deaths
                for span in self._suspects
                if span.deaths < LIVES
                and span.partition == partition
                and span.first <= last
                and first <= span.last
            ),
            default=0,
        )

    def _write(self) -> None:
        """The suspects that nobody met yet stay as they are; what is at work dies once more if the process does."""
        if self._file is None:
            return
        lines = [_line("suspected", span) for span in self._suspects]
        lines += [_line("at-work", span) for spans in self._at_work.values() for span in spans]
        body = "".join(lines[:MOST_SPANS]).encode()
        try:
            os.pwrite(self._file, b"%08x %08x\n" % (zlib.crc32(body), len(body)) + body, 0)
        except OSError as error:
            log.warning("the crash journal cannot be written, and is not used", error=error.strerror)
            os.close(self._file)
            self._file = None


def open_journal(path: Path | None) -> Journal:
    """The journal at ``path``, or at the first free of ``path.1``, ``path.2``, ... where others work; none without a path.

    Raises:
        UsageError: the file cannot be opened.
    """
    if path is None:
        return Journal()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for number in range(MOST_WORKERS):
            name = path if number == 0 else path.with_name(f"{path.name}.{number}")
            file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # The kernel lets go of it when the process dies.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            return Journal(file)
    except OSError as error:
        raise UsageError(
            f"cannot open the crash journal {path}: {error.strerror}",
            hint="TAGLINE_LIMITS_CRASH_JOURNAL names a file in a folder that the worker may write, and that a restart leaves",
        ) from error
    raise UsageError(f"{MOST_WORKERS} workers use the crash journal {path}", hint="give each host its own")


def _extent(records: Iterable[Record]) -> dict[Partition, tuple[int, int]]:
    """First and last offset of every partition; records of one partition stand in order."""
    extent: dict[Partition, tuple[int, int]] = {}
    for record in records:
        partition = (record.topic, record.partition)
        first, _ = extent.get(partition, (record.offset, 0))
        extent[partition] = (first, record.offset)
    return extent


def _holds(span: Span, record: Record) -> bool:
    return (
        span.first <= record.offset <= span.last
        and span.partition[1] == record.partition
        and span.partition[0] == record.topic
    )


def _after(span: Span, done: Span) -> list[Span]:
    """What is left of a suspected span when another one has passed: offsets are read in order, so only what follows."""
    if span.partition != done.partition or done.last < span.first:
        return [span]
    return [span._replace(first=done.last + 1)] if done.last < span.last else []


def _line(state: str, span: Span) -> str:
    (topic, number), first, last, deaths = span
    return f"{state} {topic} {number} {first} {last} {deaths}\n"


def _left_by_the_dead(file: int) -> list[Span]:
    """What an earlier process left: what it still suspected, and what was at work when it ended, once more.

    Half-written or foreign content is nothing: at worst a life is not counted.
    """
    head, _, rest = os.pread(file, MOST_BYTES, 0).partition(b"\n")
    try:
        checksum, length = (int(word, 16) for word in head.split())
        body = rest[:length]
        if zlib.crc32(body) != checksum:
            return []
        found: dict[tuple[Partition, int, int], Span] = {}
        for line in body.decode().splitlines():
            state, topic, *numbers = line.split(" ")
            number, first, last, deaths = map(int, numbers)
            span = Span((topic, number), first, last, deaths + (state == "at-work"))
            key = (span.partition, span.first, span.last)
            if key not in found or found[key].deaths < span.deaths:
                found[key] = span
        return list(found.values())
    except ValueError:
        return []
