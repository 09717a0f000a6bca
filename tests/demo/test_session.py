"""The demo's worker and its feed, each where something is in the way."""

import subprocess
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from confluent_kafka import Producer

from worker.demo import session
from worker.demo.session import Feeder, WorkerProcess, running
from worker.demo.watch import Tally
from worker.errors import DependencyError
from worker.local.stack import StackAddresses
from worker.settings import load


class Watching:
    """Stands where the watcher does, and says when the second event came by."""

    def __init__(self) -> None:
        self.seen = 0
        self.second = threading.Event()

    def remember(self, identity: str, text: str) -> None:
        self.seen += 1
        if self.seen == 2:
            self.second.set()


def test_the_worker_is_ours_in_a_folder_that_has_a_worker_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker").mkdir()
    (tmp_path / "worker" / "__init__.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAGLINE_KAFKA_TYPO", "1")  # ends it before it looks for a broker
    worker = WorkerProcess(StackAddresses("127.0.0.1:1", ""), "group", tmp_path / "worker.log")
    try:
        with pytest.raises(DependencyError, match="exit code 2") as raised:
            worker.wait_until_ready()
    finally:
        worker.stop()
    assert "TAGLINE_KAFKA_TYPO" in raised.value.message


def test_the_worker_serves_its_health_where_the_demo_asks_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, str] = {}
    monkeypatch.setenv("TAGLINE_TELEMETRY_HOST", "::1")
    monkeypatch.setenv("TAGLINE_KAFKA_GROUP_ID_FILE", str(tmp_path / "group"))
    monkeypatch.setattr(subprocess, "Popen", lambda _command, *, env, **_: started.update(env))
    worker = WorkerProcess(StackAddresses("127.0.0.1:1", ""), "group", tmp_path / "worker.log")
    assert f"{started['TAGLINE_TELEMETRY_HOST']}:{started['TAGLINE_TELEMETRY_PORT']}" == worker.http
    assert "TAGLINE_KAFKA_GROUP_ID_FILE" not in started


def test_a_queue_that_is_full_neither_ends_the_feed_nor_keeps_it_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = Producer(
        {
            "bootstrap.servers": "127.0.0.1:1",
            "queue.buffering.max.messages": 1,
            "message.timeout.ms": 2_000,
            "log_level": 0,
        }
    )
    monkeypatch.setattr(session, "open_producer", lambda _, logger: producer)
    watching, tally = Watching(), Tally()
    feeder = Feeder(load(environ={}), 1_000.0, tally, watching)  # type: ignore[arg-type]  # all that it asks of a watcher
    feeder.start()
    assert watching.second.wait(10)
    feeder._thread.join(0.2)
    assert feeder._thread.is_alive()
    feeder.stop()
    assert tally.fed >= 1


def test_whatever_ends_the_demo_the_feed_stops_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that goes on would meet a broker that is being stopped, and say so twenty times a second."""
    stopped: list[str] = []

    class Part:
        def __init__(self, name: str) -> None:
            self._name = name

        def start(self) -> None:
            pass

        wait_until_ready = start

        def stop(self) -> None:
            stopped.append(self._name)

    monkeypatch.setattr(session, "open_admin", lambda _: nullcontext())
    monkeypatch.setattr(session, "create", lambda *_: None)
    monkeypatch.setattr(session, "begin_at_the_end", lambda *_: {})
    for name in ("Watcher", "Feeder", "WorkerProcess"):
        monkeypatch.setattr(session, name, lambda *_, name=name, **__: Part(name))

    def watch() -> None:
        with running(StackAddresses("127.0.0.1:1", ""), 1.0, tmp_path):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        watch()
    assert stopped == ["Feeder", "WorkerProcess", "Watcher"]


def test_a_feed_that_never_began_stops_at_once() -> None:
    feeder = Feeder(load({"kafka.bootstrap_servers": "127.0.0.1:1"}, {}), 1.0, Tally(), Watching())  # type: ignore[arg-type]  # as above
    feeder.stop()
