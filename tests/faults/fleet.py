"""Workers as processes: started by the command, hurt by signals, watched through /proc and their health port."""

import os
import signal
import subprocess
import time
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.faults.stack import COMMAND
from tests.loopback import DIRECT, free_port

TERM_TIMEOUT_S = 45.0
"""Longer than the worker's own drain time-out."""

JOINING_S = 1.5
"""From ready to owning partitions, with some room."""


class Resources(NamedTuple):
    """What a process holds."""

    descriptors: int
    threads: int
    resident_mb: float


@dataclass
class Worker:
    """One `tagline run`. ``expected_end`` is the exit code that what we did to it should lead to; None: it should run."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    started_at: float = field(default_factory=time.monotonic)
    stopped: bool = False
    ready_at: float | None = None
    """When it first said that it was ready."""
    expected_end: int | None = None
    at_rest: Resources | None = None
    """Measured when it had settled, before anything was done to it."""

    @property
    def alive(self) -> bool:
        """Whether the process exists and we have not ended it."""
        return self.expected_end is None and self.process.poll() is None

    def ready(self) -> bool:
        """Whether it is alive, not stopped, and says itself that it is ready."""
        if not self.alive or self.stopped:
            return False
        try:
            with DIRECT.open(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                ready = bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
        if ready and self.ready_at is None:
            self.ready_at = time.monotonic()
        return ready

    def settled(self) -> bool:
        """Whether it has been ready for long enough to have joined its group."""
        return self.ready() and self.ready_at is not None and time.monotonic() - self.ready_at > JOINING_S

    def resources(self) -> Resources:
        """Descriptors, threads and memory now."""
        proc = Path(f"/proc/{self.process.pid}")
        status = dict(
            line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
        )
        return Resources(
            len(list((proc / "fd").iterdir())), int(status["Threads"]), int(status["VmRSS"].split()[0]) / 1024
        )


class Fleet:
    """All workers of a run, dead ones included. One thread."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = dict(environ)
        self._folder = folder
        self.workers: list[Worker] = []

    def start(self, slot: str, extra: Mapping[str, str] | None = None) -> Worker:
        """Start a worker; the name is the slot and a running number."""
        name = f"{slot}-{len(self.workers)}"
        port = free_port()
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*COMMAND, "run"],
                env=self._environ | {"TAGLINE_TELEMETRY_PORT": str(port)} | dict(extra or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        worker = Worker(name, process, port, log)
        self.workers.append(worker)
        return worker

    def kill(self, worker: Worker) -> None:
        """SIGKILL: nothing of it runs any more, nothing is said to anyone."""
        worker.expected_end = -signal.SIGKILL
        worker.process.kill()

    def terminate(self, worker: Worker) -> None:
        """SIGTERM; it should drain and end with 0."""
        worker.expected_end = 0
        worker.process.terminate()

    def stop(self, worker: Worker) -> None:
        """SIGSTOP: alive for its peers' sockets, dead for its group once the session is over."""
        worker.stopped = True
        os.kill(worker.process.pid, signal.SIGSTOP)

    def resume(self, worker: Worker) -> None:
        """SIGCONT."""
        worker.stopped = False
        if worker.process.poll() is None:
            os.kill(worker.process.pid, signal.SIGCONT)

    def alive(self) -> list[Worker]:
        """Those that run, stopped ones included."""
        return [worker for worker in self.workers if worker.alive]

    def settled(self) -> list[Worker]:
        """Those that are ready and have joined."""
        return [worker for worker in self.workers if worker.settled()]

    def end_all(self) -> None:
        """Terminate what runs and wait for everything to end; what does not end in time is killed and shows as such."""
        for worker in self.alive():
            self.resume(worker)
            self.terminate(worker)
        deadline = time.monotonic() + TERM_TIMEOUT_S
        for worker in self.workers:
            try:
                worker.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()

    def wrong_ends(self) -> list[str]:
        """Workers that ended by themselves or with another code than they should have."""
        return [
            f"{worker.name} ended with {worker.process.returncode}, not "
            f"{'at all' if worker.expected_end is None else worker.expected_end}:\n{_tail(worker.log)}"
            for worker in self.workers
            if worker.process.poll() is not None and worker.process.returncode != worker.expected_end
        ]


def grown(before: Resources, after: Resources) -> list[str]:
    """What grew more than reconnecting explains: a few sockets and librdkafka's threads for them."""
    found = []
    if after.descriptors > before.descriptors + 12:
        found.append(f"descriptors grew from {before.descriptors} to {after.descriptors}")
    if after.threads > before.threads + 6:
        found.append(f"threads grew from {before.threads} to {after.threads}")
    if after.resident_mb > before.resident_mb * 1.5 + 100:
        found.append(f"memory grew from {before.resident_mb:.0f} to {after.resident_mb:.0f} MB")
    return found


def _tail(log: Path) -> str:
    return "\n".join(f"    {line[:400]}" for line in log.read_text(errors="replace").splitlines()[-12:])
