"""What tests of several folders share: the stack, started once when the first test asks for it."""

import gc
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from hypothesis import settings

from worker.local.stack import CACHE_VARIABLE, KAFKA_VARIABLE, Stack, StackAddresses

settings.register_profile("tagline", deadline=None)  # a busy machine is no failure
settings.load_profile("tagline")


@pytest.fixture
def signals_are_heard() -> Iterator[None]:
    """For a test that sends them, to itself or to what it starts: where the suite runs under nohup or in a script's
    background, both ignore SIGHUP or SIGINT.
    """
    before = {
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def _collector() -> Iterator[None]:
    """Cyclic garbage is collected between tests only, on the main thread.

    confluent-kafka runs Python code on threads of its own. When the collector happens to run there and destroys another
    client, the process ends with a segmentation fault: seen once in the suite, 40 s after the last test with a client.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The embedded stack in a folder of its own, started once; parts that the environment names are the user's.

    A test that kills or pauses a part leaves it running and answering.
    """
    made = Stack(tmp_path_factory.mktemp("stack"))
    try:
        made.up(lambda line: print(line, file=sys.stderr))
        yield made
    finally:
        made.down(lambda _: None)


@pytest.fixture(scope="session")
def _addresses(stack: Stack) -> StackAddresses:
    return stack.addresses()


@pytest.fixture
def bootstrap(_addresses: StackAddresses, monkeypatch: pytest.MonkeyPatch) -> str:
    """Kafka's bootstrap servers. Commands and settings of this process find them too."""
    monkeypatch.setenv(KAFKA_VARIABLE, _addresses.bootstrap_servers)
    return _addresses.bootstrap_servers


@pytest.fixture
def redis_url(_addresses: StackAddresses, monkeypatch: pytest.MonkeyPatch) -> str:
    """The cache's address, known to this process as well. All tests share it, so a test's keys must be its own."""
    monkeypatch.setenv(CACHE_VARIABLE, _addresses.redis_url)
    return _addresses.redis_url


@pytest.fixture
def admin(bootstrap: str) -> Iterator[AdminClient]:
    """An admin client of the stack's Kafka, closed here: a garbage collector in another client's thread would abort."""
    with AdminClient({"bootstrap.servers": bootstrap}) as client:
        yield client


@pytest.fixture
def new_topic(admin: AdminClient) -> Callable[..., str]:
    """``new_topic(partitions=1, **config)`` creates a topic with a name of its own and returns the name."""

    def create(partitions: int = 1, **config: str) -> str:
        name = f"test.{uuid.uuid4().hex[:12]}"
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(30)
        wait_for_leaders(admin, [name])
        return name

    return create


def wait_for_leaders(admin: AdminClient, topics: Sequence[str], timeout_s: float = 30.0) -> None:
    """Block until every partition of these new topics answers: the broker learns that it leads them a moment later."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            known = admin.list_topics(timeout=10).topics
            wanted = {
                TopicPartition(topic, number): OffsetSpec.latest()
                for topic in topics
                for number in known[topic].partitions
            }
            for future in admin.list_offsets(wanted).values():
                future.result(10)
        except (KafkaException, KeyError):  # a topic may not even be listed yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
