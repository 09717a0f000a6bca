"""What the demo knows: events fed, and everything that came out on the topics that subscribers read."""

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from worker.contracts.deadletter import read_dead_letter
from worker.contracts.topics import (
    ADS_SIGNALS,
    CARE_ALERTS,
    LISTINGS_TAGGED,
    RANKING_SIGNALS,
    REVIEWS_TAGGED,
    TOPICS,
)
from worker.settings import Settings
from worker.stream.reading import Reader
from worker.stream.record import Partition, Record

TAGGED = (LISTINGS_TAGGED, REVIEWS_TAGGED)
OUTPUT_TOPICS = tuple(topic.name for topic in TOPICS if topic.role != "input")
SIGNALS = {RANKING_SIGNALS: "ranking", ADS_SIGNALS: "ads", CARE_ALERTS: "care"}
RECENT = 14
RATE_WINDOW_S = 5.0
REMEMBERED_TEXTS = 20_000


class Tag(NamedTuple):
    """One tagged event, with the text that the demo itself had sent for it."""

    kind: str
    text: str
    label: str
    confidence: float


@dataclass
class Tally:
    """Counts so far. Written by the feeding and the reading thread, each its own fields; read by the view."""

    fed: int = 0
    tagged: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    recent: deque[Tag] = field(default_factory=lambda: deque(maxlen=RECENT))
    arrivals: deque[float] = field(default_factory=deque)

    def rate(self) -> float:
        """Tagged events per second over the last few seconds."""
        horizon = time.monotonic() - RATE_WINDOW_S
        while self.arrivals and self.arrivals[0] < horizon:
            self.arrivals.popleft()
        return len(self.arrivals) / RATE_WINDOW_S

    @property
    def accounted(self) -> int:
        """Inputs with an outcome: tagged, or a dead letter."""
        return self.tagged + sum(self.dead_letters.values())


class Watcher:
    """Reads every output topic from its end, in a thread of its own, and keeps the tally.

    Outcomes of inputs that lie before ``since`` are somebody else's and not counted; nor is a second outcome of the same input.
    """

    def __init__(self, settings: Settings, tally: Tally, *, since: Mapping[Partition, int]) -> None:
        self._tally = tally
        self._since = since
        self._texts: dict[str, str] = {}
        self._seen: set[tuple[str, str, int, int]] = set()
        self._reader = Reader(settings, "tagline-demo-watcher")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name="demo-watcher", daemon=True)

    def start(self) -> None:
        """Take a position at the end of every output topic, then begin to read. Blocks for the look-up."""
        self._reader.start(self._reader.ends(OUTPUT_TOPICS))
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it was started, and close the consumer."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._reader.consumer.close()

    def remember(self, identity: str, text: str) -> None:
        """Keep the text that was sent for a listing or review, to show it beside its tag: outputs carry no text."""
        self._texts[identity] = text
        if len(self._texts) > REMEMBERED_TEXTS:
            del self._texts[next(iter(self._texts))]

    def _read(self) -> None:
        while not self._stopping.is_set():
            record = self._reader.poll()
            if isinstance(record, Record):
                self._count(record)

    def _count(self, record: Record) -> None:
        letter = read_dead_letter(record.headers)
        if letter is not None:
            if self._is_new(record.topic, letter.topic, letter.partition, letter.offset):
                self._tally.dead_letters[letter.reason] += 1
            return
        event = json.loads(record.value or b"{}")
        source = event["source"]
        if not self._is_new(record.topic, source["topic"], source["partition"], source["offset"]):
            return
        if record.topic in TAGGED:
            self._tagged(record.topic, event)
        else:
            self._tally.signals[SIGNALS[record.topic]] += 1

    def _is_new(self, output: str, topic: str, partition: int, offset: int) -> bool:
        """Whether this is the first outcome on its topic of an input of this demo."""
        key = (output, topic, partition, offset)
        if offset < self._since.get((topic, partition), 0) or key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _tagged(self, topic: str, event: Mapping[str, Any]) -> None:
        kind = "title" if topic == LISTINGS_TAGGED else "review"
        identity = str(event.get("listing_id" if kind == "title" else "review_id"))
        sentiment = event["sentiment"]
        tally = self._tally
        tally.tagged += 1
        tally.labels[sentiment["label"]] += 1
        tally.arrivals.append(time.monotonic())
        tally.recent.append(
            Tag(kind, self._texts.get(identity, ""), sentiment["label"], sentiment["confidence"])
        )
