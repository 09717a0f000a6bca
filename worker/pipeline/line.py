"""The stages as threads with bounded queues between them: the assembly line that micro-batches travel along.

    intake ──► prepare ──► classify ──► publish ──► finished
    (owner)    thread      thread       thread      (back to the owner)

Several micro-batches are in flight, one or two per stage, so that the device is never idle while the next one is decoded
or the last one is published. The queues' bounds are the back-pressure. An exception in any stage is latched: the line
stops, nothing more is published, and the owner's next ``check`` raises it.
"""

import queue
import threading
import time
from collections.abc import Callable

import structlog

from worker.stream.assignment import Assignment
from worker.stream.microbatch import MicroBatch
from worker.stream.publish import Publisher
from worker.stream.stages import Finished
from worker.telemetry import metrics

log = structlog.get_logger(__name__)

MOST_UNACKNOWLEDGED = 4
"""Micro-batches that may await their acknowledgements before publishing waits for the oldest."""
REPORT_WAIT_S = 0.02
"""Longest wait for delivery reports before the queue is looked at again."""
STOP_CHECK_S = 0.1
"""How soon a blocked stage notices that another one failed."""

Stage = Callable[[MicroBatch], None]


class Line:
    """Runs the stages. Implements ``worker.stream.stages.Stages`` for the owner's thread."""

    def __init__(
        self,
        *,
        prepare: Stage,
        classify: Stage,
        conclude: Stage,
        publisher: Publisher,
        assignment: Assignment,
    ) -> None:
        """Nothing runs until ``start``.

        Args:
            prepare: decodes, normalises, looks texts up; one thread.
            classify: fills in what was not known, when the model has answered; one thread.
            conclude: gives every record its outcome; runs on the publish thread.
            publisher: used by the publish thread only.
            assignment: read by the publish thread to leave stale records out.
        """
        self._conclude = conclude
        self._publisher = publisher
        self._assignment = assignment
        self._to_prepare: queue.Queue[MicroBatch] = queue.Queue(1)
        self._to_classify: queue.Queue[MicroBatch] = queue.Queue(1)
        self._to_publish: queue.Queue[MicroBatch] = queue.Queue(2)
        self._finished: queue.SimpleQueue[Finished | None] = queue.SimpleQueue()
        """None: there is room again, which the owner may be waiting for."""
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._rewinds = 0
        self._submitted = 0
        self._taken_by_device = 0
        self._threads = [
            threading.Thread(target=self._guarded, args=(name, work), name=f"tagline-{name}", daemon=True)
            for name, work in (
                ("prepare", lambda: self._forward("prepare", self._to_prepare, prepare, self._to_classify)),
                (
                    "classify",
                    lambda: self._forward("classify", self._to_classify, classify, self._to_publish),
                ),
                ("publish", self._publish_all),
            )
        ]

    def start(self) -> None:
        """Start the threads, and let the queues be seen."""
        for stage, waiting in (
            ("prepare", self._to_prepare),
            ("classify", self._to_classify),
            ("publish", self._to_publish),
        ):
            metrics.QUEUE_DEPTH.labels(stage).set_function(waiting.qsize)
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the threads and release the producer. What is still in flight is dropped, uncommitted."""
        self._stopping.set()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            log.warning("a stage did not end in time", stages=[t.name for t in self._threads if t.is_alive()])
        else:
            self._publisher.close(max(0.0, deadline - time.monotonic()))

    # -- what the owner sees ----------------------------------------------------------------------------------------

    @property
    def rewinds(self) -> int:
        return self._rewinds

    @property
    def has_room(self) -> bool:
        return not self._to_prepare.full()

    @property
    def hungry(self) -> bool:
        return self._submitted == self._taken_by_device

    def submit(self, batch: MicroBatch) -> None:
        self._submitted += 1
        self._to_prepare.put_nowait(batch)

    def finished(self, timeout_s: float) -> list[Finished]:
        heard: list[Finished | None] = []
        try:
            heard.append(
                self._finished.get(timeout=timeout_s) if timeout_s > 0 else self._finished.get_nowait()
            )
            while True:
                heard.append(self._finished.get_nowait())
        except queue.Empty:
            return [done for done in heard if done is not None]

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    # -- the threads ------------------------------------------------------------------------------------------------

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 # latched, and raised again by the owner
            if self._stopping.is_set():
                return  # what it waited for was taken away; the reason is known already
            log.error("stage failed", stage=name, error=type(error).__name__)  # noqa: TRY400 # raised again, with its trace
            self._failure = error
            self._stopping.set()

    def _forward(
        self, name: str, source: "queue.Queue[MicroBatch]", work: Stage, target: "queue.Queue[MicroBatch]"
    ) -> None:
        seconds = metrics.STAGE_SECONDS.labels(name)
        while (batch := self._next(source)) is not None:
            if name == "classify":
                self._taken_by_device += 1
            else:
                self._finished.put(None)
            with seconds.time():
                work(batch)
            self._pass_on(batch, target)

    def _next(self, source: "queue.Queue[MicroBatch]") -> MicroBatch | None:
        while not self._stopping.is_set():
            try:
                return source.get(timeout=STOP_CHECK_S)
            except queue.Empty:
                continue
        return None

    def _pass_on(self, batch: MicroBatch, target: "queue.Queue[MicroBatch]") -> None:
        while not self._stopping.is_set():
            try:
                return target.put(batch, timeout=STOP_CHECK_S)
            except queue.Full:
                continue
        return None

    def _publish_all(self) -> None:
        seconds = metrics.STAGE_SECONDS.labels("publish")
        while not self._stopping.is_set():
            batch = self._next_to_publish()
            if batch is not None:
                with seconds.time():
                    self._publish(batch)
            waits = batch is None and self._publisher.pending > 0
            for done in self._publisher.finished(REPORT_WAIT_S if waits else 0):
                self._finished.put(Finished(done, published=True))

    def _next_to_publish(self) -> MicroBatch | None:
        """Wait for a micro-batch only while nothing is unacknowledged, and never so long that callbacks pile up."""
        pending = self._publisher.pending
        if pending >= MOST_UNACKNOWLEDGED:
            return None
        try:
            return self._to_publish.get(block=pending == 0, timeout=STOP_CHECK_S)
        except queue.Empty:
            return None

    def _publish(self, batch: MicroBatch) -> None:
        """Publish what is still ours of a micro-batch; after a roll-back, nothing read before the rewind."""
        current = batch.current(self._assignment)
        if batch.rewind < self._rewinds or not current:
            self._finished.put(Finished(batch, published=False))
            return
        self._conclude(batch)
        batch.outcomes = [
            outcome
            for record, outcome in zip(batch.records, batch.outcomes, strict=True)
            if (record.topic, record.partition) in current
        ]
        messages = [message for outcome in batch.outcomes for message in outcome.messages]
        offsets = {partition: offset for partition, offset in batch.offsets().items() if partition in current}
        if not self._publisher.publish(batch, messages, offsets):
            self._rewinds += 1
            self._finished.put(Finished(batch, published=False))
