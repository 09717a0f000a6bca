"""A stack that may be hurt: nobody else's tests use it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from tests.conftest import wait_for_leaders
from worker.contracts.topics import TOPICS
from worker.local.stack import CACHE_VARIABLE, KAFKA_VARIABLE, Stack
from worker.stream.admin import create


@contextmanager
def stack_of_our_own(folder: Path) -> Iterator[Stack]:
    """One with the product's topics, whatever the environment names; ended with the body."""
    ours = {name: value for name, value in os.environ.items() if name not in (KAFKA_VARIABLE, CACHE_VARIABLE)}
    stack = Stack(folder, ours)
    try:
        addresses = stack.up(lambda _: None)
        with AdminClient({"bootstrap.servers": addresses.bootstrap_servers}) as admin:
            create(admin, TOPICS)
            wait_for_leaders(admin, [topic.name for topic in TOPICS])
        yield stack
    finally:
        stack.down(lambda _: None)
