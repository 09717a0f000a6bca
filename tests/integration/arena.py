"""A test's own stretch of the shared topics: what it feeds, what comes out of it, and worker processes that read it.

All tests share one broker and the product's own topics. Each arena has a new consumer group whose offsets begin at the
present ends, and reads outputs from the present ends, so that tests do not see each other.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from confluent_kafka import Consumer, Producer, TopicPartition

from worker.contracts.topics import INPUT_TOPICS, LISTINGS_CREATED, REVIEWS_POSTED, TOPICS

_QUIET: dict[str, int] = {"log_level": 0, "reconnect.backoff.max.ms": 500}
"""Brokers go away here on purpose."""
OUTPUT_TOPICS = tuple(topic.name for topic in TOPICS if topic.role != "input")
Source = tuple[str, int, int]
"""Topic, partition and offset of an input."""


class Output(NamedTuple):
    """One message on an output or dead-letter topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    @property
    def source(self) -> Source:
        """The input that it was made from."""
        if self.topic.endswith(".dlq.v1"):
            return (
                self.headers["dlq.topic"].decode(),
                int(self.headers["dlq.partition"]),
                int(self.headers["dlq.offset"]),
            )
        source = self.event["source"]
        return source["topic"], source["partition"], source["offset"]

    @property
    def event(self) -> dict[str, Any]:
        """The message as JSON."""
        return cast("dict[str, Any]", json.loads(self.value or b"null"))


def review(number: int, text: str, listing: str | None = None) -> dict[str, Any]:
    """A review event."""
    return {
        "review_id": f"r{number}",
        "listing_id": listing or f"l{number % 7}",
        "reviewer_id": f"u{number}",
        "body": text,
    }


def listing(number: int, title: str) -> dict[str, Any]:
    """A listing event."""
    return {"listing_id": f"l{number % 7}", "seller_id": "s1", "title": title}


@dataclass
class Arena:
    """See the module's docstring."""

    bootstrap: str
    redis_url: str | None
    folder: Path
    outputs: Sequence[str] = OUTPUT_TOPICS
    """The topics that are read here."""
    begun: bool = True
    """Whether the group has committed the present ends; else it is one that Kafka has not heard of."""
    group: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")
    fed: list[Source] = field(default_factory=list)
    workers: list["WorkerProcess"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 2, **_QUIET})
        self._reader = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": self.group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                **_QUIET,
            }
        )
        if self.begun:
            self._reader.commit(offsets=self._ends(INPUT_TOPICS), asynchronous=False)
        self._reader.assign(self._ends(self.outputs))
        self.seen: list[Output] = []

    def _ends(self, topics: Sequence[str]) -> list[TopicPartition]:
        known = self._reader.list_topics(timeout=10).topics
        ends = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
        for partition in ends:
            partition.offset = cast(
                "tuple[int, int]", self._reader.get_watermark_offsets(partition, timeout=10)
            )[1]
        return ends

    # -- feeding ----------------------------------------------------------------------------------------------------

    def feed(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        then: Callable[[Source], None] = lambda _: None,
        **options: Any,
    ) -> None:
        """Send one record; ``settle_feed`` waits for its acknowledgement. `then` is told where it lies."""

        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            self.fed.append((message.topic(), message.partition(), message.offset()))
            then(self.fed[-1])

        self._producer.produce(topic, value, key, on_delivery=delivered, **options)
        self._producer.poll(0)

    def feed_event(self, event: dict[str, Any], **options: Any) -> None:
        """Send a listing or a review under its listing's id."""
        topic = REVIEWS_POSTED if "review_id" in event else LISTINGS_CREATED
        self.feed(topic, json.dumps(event).encode(), event["listing_id"].encode(), **options)

    def feed_reviews(self, count: int, text: Callable[[int], str] = lambda n: f"review number {n}") -> None:
        """Send numbered reviews and wait until the broker has them."""
        for number in range(count):
            self.feed_event(review(number, text(number)))
        self.settle_feed()

    def settle_feed(self) -> None:
        """Wait until everything fed is acknowledged."""
        assert self._producer.flush(30) == 0

    def add_last_of(self, topic: str, partition: int) -> Source:
        """Count the last record of a partition as fed: somebody else sent it for us."""
        end = cast(
            "tuple[int, int]", self._reader.get_watermark_offsets(TopicPartition(topic, partition), 10)
        )[1]
        self.fed.append((topic, partition, end - 1))
        return self.fed[-1]

    # -- watching ---------------------------------------------------------------------------------------------------

    def read(self, timeout_s: float = 0.2) -> None:
        """Take what has come out meanwhile."""
        for message in self._reader.consume(1_000, timeout_s):
            assert message.error() is None, message.error()
            headers = {name: value for name, value in message.headers() or [] if value is not None}
            self.seen.append(Output(message.topic(), message.key(), message.value(), headers))

    def outcomes(self) -> dict[Source, list[Output]]:
        """Tagged events and dead letters by input; signals left out."""
        found: dict[Source, list[Output]] = {}
        for output in self.seen:
            if not output.topic.startswith(("signals.", "alerts.")):
                found.setdefault(output.source, []).append(output)
        return found

    def wait_for_outcomes(self, timeout_s: float = 60.0) -> dict[Source, list[Output]]:
        """Read until every record fed has an outcome."""
        self.wait(lambda: set(self.fed) <= set(self.outcomes()), timeout_s, "records without an outcome")
        self.read(0.5)  # duplicates, if there are any, come out now
        return self.outcomes()

    def wait(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Read until `condition` holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            died = [worker for worker in self.workers if worker.died_unseen()]
            if died or time.monotonic() > deadline:
                missing = sorted(set(self.fed) - set(self.outcomes()))
                logs = "\n".join(worker.log() for worker in self.workers)
                raise AssertionError(
                    f"{what}: within {timeout_s} s; {len(missing)} missing, {missing[:5]}; {len(died)} died\n{logs}"
                )
            self.read(0.05)

    def committed(self) -> dict[tuple[str, int], int]:
        """The group's committed offsets."""
        partitions = [TopicPartition(p.topic, p.partition) for p in self._ends(INPUT_TOPICS)]
        return {(p.topic, p.partition): p.offset for p in self._reader.committed(partitions, timeout=20)}

    def lag(self) -> int:
        """Records fed whose offsets are not committed."""
        committed = self.committed()
        return sum(offset >= committed[topic, partition] for topic, partition, offset in self.fed)

    def wait_for_no_lag(self, timeout_s: float = 30.0) -> None:
        """Read until the group has committed everything fed."""
        self.wait(lambda: self.lag() == 0, timeout_s, "lag")

    # -- workers ----------------------------------------------------------------------------------------------------

    def worker(
        self, *arguments: str, module: str = "tests.integration.fake_worker", **settings: str
    ) -> "WorkerProcess":
        """Start a worker of this arena's group. `settings` are environment variables without ``TAGLINE_``."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAGLINE_")}
        environment |= {
            "TAGLINE_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "TAGLINE_KAFKA_GROUP_ID": self.group,
            "TAGLINE_KAFKA_SESSION_TIMEOUT_S": "2.5",
            "TAGLINE_KAFKA_TRANSACTION_TIMEOUT_S": "6",
            "TAGLINE_TELEMETRY_PORT": "-1",
        }
        if self.redis_url:
            environment["TAGLINE_REDIS_URL"] = self.redis_url
            environment["TAGLINE_CACHE_SECRET"] = self.group  # nobody finds what another test remembered
        environment |= {f"TAGLINE_{name}": value for name, value in settings.items()}
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = WorkerProcess([sys.executable, "-m", module, *arguments], environment, log)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """Kill what still runs, also what is stopped."""
        for worker in self.workers:
            worker.kill()
        self._producer.close()
        self._reader.close()


class WorkerProcess:
    """A worker as its own process."""

    def __init__(self, command: list[str], environment: dict[str, str], log_file: Path) -> None:
        self.log_file = log_file
        self._end_was_seen = False
        with log_file.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def log(self) -> str:
        """What it has printed so far."""
        return self.log_file.read_text("utf-8", "replace")

    def wait_for_log(self, text: str, timeout_s: float = 30.0, *, times: int = 1) -> None:
        """Wait until it has printed `text` so often."""
        deadline = time.monotonic() + timeout_s
        while self.log().count(text) < times:
            assert self.process.poll() is None, f"ended before {text!r}\n{self.log()}"
            assert time.monotonic() < deadline, f"no {text!r} within {timeout_s} s\n{self.log()}"
            time.sleep(0.01)

    def died_unseen(self) -> bool:
        """Whether it ended with an error, and no test has asked for its exit code."""
        return not self._end_was_seen and self.process.poll() not in (None, 0, -signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for its end; its exit code."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end within {timeout_s} s\n{self.log()}") from None
        self._end_was_seen = True
        return code

    def stop(self) -> int:
        """SIGTERM, and wait for its end."""
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
