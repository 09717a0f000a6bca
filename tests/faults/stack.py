"""The outsider's hands: the `tagline` command, and Kafka's own protocol to look from outside."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from tests.faults.events import LISTINGS, REVIEWS
from tests.group_offsets import group_offsets

INPUTS = (LISTINGS, REVIEWS)
OUTPUTS = (
    "listings.tagged.v1",
    "reviews.tagged.v1",
    "signals.ranking.v1",
    "signals.ads.v1",
    "alerts.care.v1",
    *(f"{topic}.dlq.v1" for topic in INPUTS),
)
COMMAND = (sys.executable, "-m", "worker.cli")
Offsets = dict[tuple[str, int], int]
"""By topic and partition."""


class Stack:
    """Kafka and Redis for one run: those that the environment names, else ones of its own below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.environ = dict(os.environ)
        self._own = "TAGLINE_KAFKA_BOOTSTRAP_SERVERS" not in self.environ
        if self._own:
            self.environ["TAGLINE_LOCAL_DIR"] = str(folder / "stack")

    def __enter__(self) -> Self:
        if self._own:
            self.run("local", "up")
            self.environ |= exported(self.run("local", "env"))
        self.run("topics", "create")
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        return self

    def __exit__(self, *_: object) -> None:
        # Here and now: left to the garbage collector, it may be destroyed inside another client's thread, which aborts
        # the process (a known fault of confluent-kafka).
        self.admin.__exit__(None, None, None)
        if self._own:
            self.run("local", "down")

    @property
    def bootstrap(self) -> str:
        """The broker's address."""
        return self.environ["TAGLINE_KAFKA_BOOTSTRAP_SERVERS"]

    def run(self, *arguments: str) -> str:
        """Run one command to its end and return what it printed; a failure raises with its complaint."""
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environ, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"tagline {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def ends(
        self, topics: Iterable[str], isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED
    ) -> Offsets:
        """The offset after the last record of every partition (the last stable one with ``READ_COMMITTED``)."""
        known = self.admin.list_topics(timeout=15).topics
        asked = {
            TopicPartition(topic, number): OffsetSpec.latest()
            for topic in topics
            for number in known[topic].partitions
        }
        answers = self.admin.list_offsets(asked, isolation_level=isolation, request_timeout=15)
        return {(at.topic, at.partition): future.result().offset for at, future in answers.items()}

    def begin_group(self, group: str, offsets: Offsets) -> None:
        """Commit where a group that does not exist yet will begin, so that nothing depends on who joins when."""
        partitions = [TopicPartition(*at, offset) for at, offset in offsets.items()]
        deadline = time.monotonic() + 30
        while (
            self.committed(group) != offsets
        ):  # a new broker's first answer may be an error for each partition
            if time.monotonic() > deadline:
                raise TimeoutError(f"the group {group} could not be begun")
            request = [ConsumerGroupTopicPartitions(group, partitions)]
            for future in self.admin.alter_consumer_group_offsets(request).values():
                future.exception()
            time.sleep(0.2)

    def committed(self, group: str) -> Offsets:
        """The group's committed offsets, without waiting for open transactions."""
        try:
            return group_offsets(self.bootstrap, group, INPUTS)
        except KafkaException:
            return {}  # the coordinator is not up yet

    def lag(self, group: str, ends: Mapping[tuple[str, int], int]) -> int:
        """Records below ``ends`` that the group has not committed."""
        committed = self.committed(group)
        return sum(max(0, end - committed.get(at, 0)) for at, end in ends.items())

    def consumer_session_s(self) -> float:
        """The broker's session time-out for `group.protocol=consumer`."""
        broker = next(iter(self.admin.list_topics(timeout=15).brokers))
        resource = ConfigResource(ResourceType.BROKER, str(broker))
        entries = self.admin.describe_configs([resource])[resource].result()
        return int(entries["group.consumer.session.timeout.ms"].value) / 1000

    def await_no_open_transaction(self, topics: Iterable[str], timeout_s: float) -> bool:
        """Wait until nothing is hidden from `read_committed` readers; False when that does not come."""
        deadline = time.monotonic() + timeout_s
        topics = tuple(topics)
        while time.monotonic() < deadline:
            try:
                if self.ends(topics) == self.ends(topics, IsolationLevel.READ_COMMITTED):
                    return True
            except KafkaException:
                pass  # asked again below
            time.sleep(0.5)
        return False


def exported(text: str) -> dict[str, str]:
    """Variables from lines like `export NAME='value'`."""
    words = [
        word for line in text.splitlines() for word in shlex.split(line, comments=True) if word != "export"
    ]
    return dict(word.split("=", 1) for word in words if "=" in word)
