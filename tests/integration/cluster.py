"""Three brokers as platform teams run them: three replicas of everything, two of which must have what is acknowledged."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.conftest import wait_for_leaders
from tests.integration.redis_faults import wait_until
from worker.contracts.topics import REVIEWS_POSTED, TOPICS
from worker.local import java, process
from worker.local.broker import Broker
from worker.local.ports import LOOPBACK, find_free
from worker.local.process import Started
from worker.local.stack import kafka_class_path
from worker.stream.admin import create, with_partitions

NODES = (1, 2, 3)
CLUSTER_ID = "dGhyZWUtYnJva2Vycy0wMQ"
REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
}
TRANSACTION_LOG, OFFSETS_LOG = "__transaction_state", "__consumer_offsets"
START_TIMEOUT_S = 180.0
_SMALL = {"_JAVA_OPTIONS": "-Xmx256m"}
"""Three share this machine. It outweighs what is on the command line."""


@dataclass(frozen=True)
class Node(Broker):
    """One of them; each is a controller too."""

    number: int
    voters: str

    def properties(self) -> dict[str, str]:
        """See :meth:`Broker.properties`."""
        ours = {"node.id": str(self.number), "controller.quorum.voters": self.voters}
        return super().properties() | REPLICATED | ours


@dataclass
class Cluster:
    """The brokers while they run. Every wait ends with an AssertionError when it was in vain."""

    nodes: dict[int, Node]
    admin: AdminClient = field(repr=False)
    started: dict[int, Started] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """All of them."""
        return ",".join(node.address for node in self.nodes.values())

    def start(self, numbers: Sequence[int]) -> None:
        """Start these, all at once, and wait until every partition is on every broker again."""
        environment = os.environ | _SMALL
        program, class_path = java.find(environment), kafka_class_path(environment, lambda _: None)

        def start(number: int) -> Started:
            return self.nodes[number].start(program, class_path, environment)

        with ThreadPoolExecutor(len(numbers)) as pool:  # each formats its folder first
            self.started |= dict(zip(numbers, pool.map(start, numbers), strict=True))
        wait_until(self.whole, START_TIMEOUT_S)

    def start_what_is_away(self) -> None:
        """Start again what was killed."""
        if away := [number for number in self.nodes if not process.is_alive(self.started[number])]:
            self.start(away)

    def kill(self, number: int) -> None:
        """SIGKILL, without a word to anyone."""
        process.kill(self.started[number])

    def whole(self) -> bool:
        """Whether every broker is there, and every replica in sync."""
        try:
            known = self.admin.list_topics(timeout=10)
        except KafkaException:
            return False
        partitions = [one for topic in known.topics.values() for one in topic.partitions.values()]
        return len(known.brokers) == len(self.nodes) and all(
            len(one.isrs) == len(one.replicas) for one in partitions
        )

    def leaders(self, topic: str) -> dict[int, int]:
        """The broker that leads each partition; -1 where none does."""
        found = self.admin.list_topics(topic, timeout=10).topics[topic].partitions
        return {number: partition.leader for number, partition in found.items()}

    def group_coordinator(self, group: str) -> int:
        """The broker that keeps the group's offsets."""
        return self._coordinator(OFFSETS_LOG, group)

    def transaction_coordinator(self, transactional_id: str) -> int:
        """The broker that keeps the transactions of this id."""
        return self._coordinator(TRANSACTION_LOG, transactional_id)

    def _coordinator(self, log: str, name: str) -> int:
        leaders = self.leaders(log)
        return leaders[abs(_java_hash(name)) % len(leaders)]


def _java_hash(text: str) -> int:
    """What Java calls the hash of a text, by which Kafka places groups and transactional ids."""
    found = 0
    for unit in text.encode("ascii"):
        found = (31 * found + unit) & 0xFFFFFFFF
    return found - (1 << 32) if found >> 31 else found


def _make_logs(bootstrap: str) -> None:
    """The brokers make the logs of offsets and of transactions when somebody first asks for a coordinator."""
    client = {"bootstrap.servers": bootstrap, "log_level": 0}
    consumer = Consumer({**client, "group.id": "first"})
    producer = Producer({**client, "transactional.id": "first"})

    def answered() -> bool:
        try:
            consumer.committed([TopicPartition(REVIEWS_POSTED, 0)], timeout=10)
            producer.init_transactions(10)
        except KafkaException:
            return False
        return True

    wait_until(answered, START_TIMEOUT_S)
    consumer.close()
    producer.close()


@contextmanager
def three_brokers(folder: Path) -> Iterator[Cluster]:
    """Start them, with the product's topics; end them afterwards. Blocks for some ten seconds."""
    ports: list[int] = []
    for _ in range(2 * len(NODES)):
        ports.append(find_free(frozenset(ports)))
    listeners, controllers = ports[: len(NODES)], ports[len(NODES) :]
    voters = ",".join(f"{n}@{LOOPBACK}:{port}" for n, port in zip(NODES, controllers, strict=True))
    nodes = {
        n: Node(folder / f"kafka-{n}", listener, controller, CLUSTER_ID, n, voters)
        for n, listener, controller in zip(NODES, listeners, controllers, strict=True)
    }
    with AdminClient(
        {"bootstrap.servers": ",".join(one.address for one in nodes.values()), "log_level": 0}
    ) as admin:
        cluster = Cluster(nodes, admin)
        try:
            cluster.start(NODES)
            create(admin, with_partitions(TOPICS, len(NODES)))
            wait_for_leaders(admin, [topic.name for topic in TOPICS])
            _make_logs(cluster.bootstrap)
            wait_until(cluster.whole, START_TIMEOUT_S)
            yield cluster
        finally:
            for started in cluster.started.values():
                process.kill(started)
