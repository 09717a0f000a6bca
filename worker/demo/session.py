"""The demo's moving parts: the embedded stack, a worker process, a feed, and a watcher of everything that comes out."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException, TopicPartition

from worker.contracts.topics import INPUT_TOPICS, TOPICS
from worker.demo import gauges
from worker.demo.watch import Tally, Watcher
from worker.errors import DependencyError
from worker.local.feed import feed
from worker.local.feeding import offer
from worker.local.interrupts import undisturbed
from worker.local.ports import find_free
from worker.local.stack import StackAddresses
from worker.settings import Settings, load
from worker.stream.admin import create
from worker.stream.config import admin_config, open_admin, open_producer, producer_config
from worker.stream.errors import kafka_error
from worker.stream.reading import Reader
from worker.stream.record import Partition
from worker.telemetry.logs import kafka_logger

GROUP = "tagline-demo"
"""Beginning of the group's name; every demo has a group of its own, so that nobody else's offsets or workers matter."""
READY_TIMEOUT_S = 120.0
"""Loading torch and the model takes a few seconds on a warm machine, and half a minute on a cold disk."""
SETTLE_TIMEOUT_S = 20.0
"""How long the demo waits at its end for what it fed to come out."""
STOP_TIMEOUT_S = 60.0


class WorkerProcess:
    """``tagline run`` as its own process, as in production."""

    def __init__(self, addresses: StackAddresses, group: str, log_file: Path) -> None:
        self._log_file = log_file
        self.http = f"127.0.0.1:{find_free(frozenset())}"
        host, _, port = self.http.rpartition(":")
        given = addresses.environment() | {
            "TAGLINE_KAFKA_GROUP_ID": group,
            "TAGLINE_TELEMETRY_HOST": host,
            "TAGLINE_TELEMETRY_PORT": port,
            "TAGLINE_TELEMETRY_LOG_FORMAT": "json",
        }
        mounted = {f"{name}_FILE" for name in given}  # what is given is not looked up, and both are an error
        environment = {name: value for name, value in os.environ.items() if name not in mounted} | given
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                # -P, or a `worker` in the current folder would be taken for ours
                [sys.executable, "-P", "-m", "worker.cli", "run"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the demo's to handle: the worker is drained, not hit
            )

    def wait_until_ready(self) -> None:
        """Block until the worker has its model and its partitions.

        Raises:
            DependencyError: it ended, or took too long.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not gauges.ready(self.http):
            if self._process.poll() is not None:
                raise DependencyError(
                    f"the worker ended with exit code {self._process.returncode}:\n{self._last_lines()}",
                    hint=f"Its whole log is in {self._log_file}; `tagline doctor` checks what it needs.",
                )
            if time.monotonic() > deadline:
                raise DependencyError(
                    f"the worker was not ready within {READY_TIMEOUT_S:.0f} s",
                    hint=f"Its log is in {self._log_file}.",
                )
            time.sleep(0.1)

    def stop(self) -> int:
        """Ask it to drain, wait for its end, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def _last_lines(self) -> str:
        return "\n".join(self._log_file.read_text("utf-8", "replace").splitlines()[-10:])


class Feeder:
    """Sends sample events at a steady rate in a thread of its own."""

    def __init__(self, settings: Settings, rate_per_s: float, tally: Tally, watcher: Watcher) -> None:
        self._producer = open_producer(producer_config(settings, None), logger=kafka_logger())
        self._rate_per_s = rate_per_s
        self._tally = tally
        self._watcher = watcher
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, name="demo-feeder", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sending; what was sent is acknowledged when this returns. Harmless when it never began, or twice."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
            self._producer.flush(30)

    def _send(self) -> None:
        began = time.monotonic()
        for number, event in enumerate(feed(seed=time.time_ns())):
            if self._stopping.wait(max(0.0, began + number / self._rate_per_s - time.monotonic())):
                return
            if event.identity is not None:
                self._watcher.remember(event.identity, event.text)
            while not offer(self._producer, event):
                if self._stopping.is_set():
                    return
            self._tally.fed += 1


@contextmanager
def running(
    addresses: StackAddresses, rate_per_s: float, folder: Path
) -> Iterator[tuple[Tally, WorkerProcess, Feeder]]:
    """Topics, a ready worker, a watcher and a feed; all of it is stopped at the end, the worker by draining."""
    settings = load({"kafka.bootstrap_servers": addresses.bootstrap_servers})
    with open_admin(admin_config(settings)) as admin:
        create(admin, TOPICS)
    group = f"{GROUP}-{time.time_ns():x}"
    tally = Tally()
    watcher = Watcher(settings, tally, since=begin_at_the_end(settings, group))
    feeder = Feeder(settings, rate_per_s, tally, watcher)
    worker = WorkerProcess(addresses, group, folder / "worker.log")
    try:
        watcher.start()
        worker.wait_until_ready()
        feeder.start()
        yield tally, worker, feeder
    finally:
        with undisturbed():
            feeder.stop()
            worker.stop()
            watcher.stop()


def begin_at_the_end(settings: Settings, group: str) -> dict[Partition, int]:
    """Let a group that has no members yet begin behind what others left in the input topics; returns where.

    Raises:
        TaglineError: Kafka does not answer, or refuses.
    """
    with Reader(settings, group) as reader:
        ends = reader.ends(INPUT_TOPICS)
        starts = [TopicPartition(topic, number, offset) for (topic, number), offset in ends.items()]
        try:
            reader.consumer.commit(offsets=starts, asynchronous=False)
        except KafkaException as error:
            raise kafka_error(error, "choosing where the demo begins") from error
    return ends


def settle(tally: Tally, worker: WorkerProcess) -> None:
    """Wait until every event fed has come out, or patience ends."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while tally.accounted < tally.fed and not worker.ended and time.monotonic() < deadline:
        time.sleep(0.1)
