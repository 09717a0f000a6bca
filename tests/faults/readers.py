"""Two ways to read the outputs: all along, and once at the end. Both `read_committed`, neither in a group's way."""

import threading
import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from tests.faults.history import Seen
from tests.faults.stack import Offsets

_EOF = KafkaError._PARTITION_EOF


def _consumer(bootstrap: str, starts: Mapping[tuple[str, int], int]) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 2,
            "group.id": "outsider-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "check.crcs": True,
        }
    )
    consumer.assign([TopicPartition(*at, offset) for at, offset in starts.items()])
    return consumer


def _seen(message: Message) -> Seen:
    headers = tuple(message.headers() or ())
    at = (message.topic() or "", message.partition() or 0, message.offset() or 0)
    return Seen(at, message.key(), message.value(), headers)  # type: ignore[arg-type] # bytes; the stub allows str


class Alongside:
    """A reader in a thread of its own, from ``start`` until ``stop``."""

    def __init__(self, bootstrap: str, starts: Offsets) -> None:
        self._consumer = _consumer(bootstrap, starts)
        self._seen: list[Seen] = []
        self._next = dict(starts)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="alongside", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, ends: Offsets, timeout_s: float = 60) -> tuple[Seen, ...]:
        """Read on to ``ends`` (as far as it gets in time), end the thread and return everything seen."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and any(self._next[at] < end for at, end in ends.items()):
            time.sleep(0.1)
        self._stopping.set()
        self._thread.join()
        self._consumer.close()
        return tuple(self._seen)

    def _read(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(0.1)
            if message is None:
                continue
            at = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None:
                self._seen.append(_seen(message))
                self._next[at] = (message.offset() or 0) + 1
            elif error.code() == _EOF:
                # The end may be a transaction's marker, which is never delivered but counts as an offset.
                self._next[at] = max(self._next[at], message.offset() or 0)


def read_afterwards(
    bootstrap: str, starts: Offsets, ends: Offsets, timeout_s: float = 120
) -> tuple[Seen, ...]:
    """Everything between ``starts`` and ``ends``, by a reader that was not there before."""
    consumer = _consumer(bootstrap, starts)
    seen: list[Seen] = []
    left = {at for at, end in ends.items() if end > starts[at]}
    deadline = time.monotonic() + timeout_s
    try:
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the outputs could not be read to their ends: {sorted(left)}")
            message = consumer.poll(0.5)
            if message is None:
                continue
            at = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None and (message.offset() or 0) < ends[at]:
                seen.append(_seen(message))
            reached = (message.offset() or 0) + (error is None)
            if (error is None or error.code() == _EOF) and reached >= ends[at]:
                left.discard(at)
    finally:
        consumer.close()
    return tuple(seen)
