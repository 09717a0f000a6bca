"""One Kafka broker that is also its own controller: its settings, how it is started, and when it counts as up."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from worker.errors import DependencyError, UsageError
from worker.local import process
from worker.local.ports import LOOPBACK
from worker.local.process import Started

SETTINGS: Mapping[str, str] = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    # Topics are declared (`tagline topics create`); a name with a typo must be an error.
    "auto.create.topics.enable": "false",
    # There is one broker, so nothing can have more than one replica.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    # An input of the largest size in its dead letter, and in a batch with others.
    "message.max.bytes": "8388608",
    "replica.fetch.max.bytes": "8388608",
    # The default, 128 MB of heap, is for clusters that compact far more.
    "log.cleaner.dedupe.buffer.size": "8388608",
    # A first member need not wait for others.
    "group.initial.rebalance.delay.ms": "0",
    # Sessions may be short, so that tests of killed workers need not wait. Workers choose them in the classic protocol
    # (their default stays 45 s); in the consumer protocol the broker does.
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    # How soon after its time-out a dead worker's transaction is aborted. The default is 10 s.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # A killed broker is let in again only when its old session has expired.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "400",
}
"""What the broker does, wherever it runs: docker-compose.yml says the same, and a test compares them. Where it listens and
keeps its data differs, and is in :func:`properties`."""

_JVM = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",  # one small heap: no threads and memory for collecting a large one
    "-XX:TieredStopAtLevel=1",  # ready sooner; a laptop's load never repays the second compiler
    "-XX:-UsePerfData",
)
_START_TIMEOUT_S = 300.0
"""It is there in four seconds; on a machine that is very busy it took more than sixty."""
_STILL_WAITING_S = 30.0
_STOP_TIMEOUT_S = 20.0
_SIGNS_OF_ANOTHER_VERSION = ("No MetadataVersion with feature level", "Unsupported metadata version")
"""In what Kafka says of data that a newer one has written, or one that is too old."""


@dataclass(frozen=True)
class Broker:
    """Where one broker lives. Starting and asking it are methods; its process is remembered by the caller."""

    folder: Path
    broker_port: int
    controller_port: int
    cluster_id: str

    @property
    def address(self) -> str:
        """What clients bootstrap from."""
        return f"{LOOPBACK}:{self.broker_port}"

    def properties(self) -> dict[str, str]:
        """The whole of ``server.properties``."""
        listeners = f"CONTROLLER://{LOOPBACK}:{self.controller_port},PLAINTEXT://{self.address}"
        return {
            **SETTINGS,
            "controller.quorum.voters": f"1@{LOOPBACK}:{self.controller_port}",
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(data_folder(self.folder)),
        }

    def start(self, java: Path, class_path: str, environment: Mapping[str, str]) -> Started:
        """Format the data folder if it is new, and start the process. Blocks for the format only (a second)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "server.properties"
        lines = (f"{name}={_escaped(value)}\n" for name, value in self.properties().items())
        configuration.write_text("".join(lines), "utf-8")
        with as_file(files("worker.local") / "log4j2.properties") as logging:
            command = [
                str(java),
                *_JVM,
                f"-Dlog4j2.configurationFile={logging}",
                f"-Dtagline.log={self.folder / 'broker.log'}",
                f"-XX:ErrorFile={self.folder / 'crash.log'}",
                "-cp",
                class_path,
            ]
            if formatted_for(self.folder) is None:
                self._format(command, configuration, environment)
            return process.start(
                [*command, "kafka.Kafka", str(configuration)],
                output=self.folder / "broker.out",
                environment=environment,
            )

    def _format(self, command: list[str], configuration: Path, environment: Mapping[str, str]) -> None:
        tool = [
            *command,
            "kafka.tools.StorageTool",
            "format",
            "-t",
            self.cluster_id,
            "-c",
            str(configuration),
        ]
        done = subprocess.run(tool, capture_output=True, text=True, env=dict(environment), check=False)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()[-5:]
            raise DependencyError(
                "\n  ".join([f"Kafka could not format {data_folder(self.folder)}:", *said]),
                hint="`tagline local down --wipe` removes what is there",
            )

    def wait_until_answering(
        self,
        started: Started,
        progress: Callable[[str], None] = lambda _: None,
        *,
        timeout_s: float = _START_TIMEOUT_S,
    ) -> None:
        """Block until the broker answers for its metadata; ``progress`` hears now and then that it does not yet.

        Raises:
            DependencyError: with its last words. It ended, or it runs and did not answer in time.
        """
        began = time.monotonic()
        say_at = _STILL_WAITING_S
        with _client(self.address) as client:
            while not _answers(client, self.cluster_id):
                waited_s = time.monotonic() - began
                ended = not process.is_alive(started)
                if ended or waited_s > timeout_s:
                    said = last_words(self.folder)
                    fault = (
                        "ended while starting"
                        if ended
                        else f"runs, but did not answer within {timeout_s:.0f} s"
                    )
                    raise DependencyError(
                        "\n  ".join([f"Kafka at {self.address} {fault}. Its last words:", *said]),
                        hint=self._hint(said) if ended else self._hint_of_a_slow_one(),
                    )
                if waited_s > say_at:
                    progress(f"Kafka runs and does not answer yet, after {waited_s:.0f} s")
                    say_at += _STILL_WAITING_S

    def _hint_of_a_slow_one(self) -> str:
        return (
            f"on a busy machine wait for it once more with `tagline local up`; `tagline local down` ends it; "
            f"{self.folder / 'broker.log'} has the rest"
        )

    def _hint(self, said: Sequence[str]) -> str:
        data = data_folder(self.folder)
        if any(sign in line for line in said for sign in _SIGNS_OF_ANOTHER_VERSION):
            return (
                f"another version of Kafka has written {data}: run that one (KAFKA_HOME names it), or delete the topics with "
                "`tagline local down --wipe`"
            )
        return (
            f"{self.folder / 'broker.log'} has the rest; only if what is kept in {data} is at fault, delete the topics with "
            "`tagline local down --wipe`"
        )


def answers(address: str, cluster_id: str) -> bool:
    """Whether the broker at ``address`` answers, and is the one of this cluster. Blocks for a second at most."""
    with _client(address) as client:
        return _answers(client, cluster_id)


def stop(started: Started) -> None:
    """End the broker, by asking. Blocks for a second or two."""
    process.end(started, patience_s=_STOP_TIMEOUT_S)


def data_folder(folder: Path) -> Path:
    """Where a broker in ``folder`` keeps topics and metadata."""
    return folder / "data"


def require_one_folder(folder: Path) -> None:
    """Refuse a place that Kafka would take for several: it splits its list of data folders at commas and knows no escape.

    Raises:
        UsageError: data would lie outside ``folder``, and some of it in whatever folder the command was started in.
    """
    if "," in str(folder):
        raise UsageError(
            f"Kafka cannot keep its data in {folder}: it takes a path with a comma for two folders",
            hint="set TAGLINE_LOCAL_DIR to a folder without a comma in its path",
        )


def formatted_for(folder: Path) -> str | None:
    """The id of the cluster that the data in ``folder`` belongs to; None when there is no data."""
    try:
        lines = (data_folder(folder) / "meta.properties").read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return None
    return next((line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id=")), "")


def class_path_of(home: Path) -> str:
    """The class path of an unpacked Kafka distribution. Raises DependencyError if ``home`` is not one."""
    libraries = home / "libs"
    if not any(libraries.glob("kafka-server-4*.jar")):
        raise DependencyError(
            f"KAFKA_HOME is {home}, which holds no Kafka 4 (libs/kafka-server-4*.jar)",
            hint="set KAFKA_HOME to an unpacked Apache Kafka 4, or unset it to have one fetched",
        )
    return str(libraries / "*")


def last_words(folder: Path, lines: int = 8) -> list[str]:
    """The end of what a broker in ``folder`` said: first the Java machine's own output, then Kafka's log."""
    said: list[str] = []
    for name in ("broker.out", "broker.log"):
        try:
            text = (folder / name).read_text("utf-8", "replace")
        except OSError:
            continue
        said += [line[:300] for line in text.splitlines()[-lines:]]
    return said


def _client(address: str) -> AdminClient:
    return AdminClient(
        {
            "bootstrap.servers": address,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,  # refused connections are what we expect here
        }
    )


def _answers(client: AdminClient, cluster_id: str) -> bool:
    try:
        return bool(client.list_topics(timeout=1.0).cluster_id == cluster_id)
    except KafkaException:
        return False


def _escaped(value: str) -> str:
    """A value as a Java properties file wants it; folders may hold backslashes and non-ASCII letters."""
    escaped = value.replace("\\", "\\\\")
    return "".join(c if " " < c < "\x7f" or c == " " else _unicode_escape(c) for c in escaped)


def _unicode_escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
