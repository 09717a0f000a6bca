"""What a probe hears of a worker that was stopped as a whole."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.integration.arena import Arena
from tests.integration.judge import judge
from worker.errors import ExitCode

pytestmark = [pytest.mark.integration, pytest.mark.faults]

STUCK_AFTER_S = 12.0


def test_the_first_probe_after_a_long_stop_finds_the_worker_alive(arena: Arena, tmp_path: Path) -> None:
    """Its question waits in the socket, and is answered before the loop turns or work in flight can move."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    gate = tmp_path / "gate"
    gate.touch()
    worker = arena.worker(
        *("--gate", str(gate)),
        TELEMETRY_PORT=str(port),
        LIMITS_STUCK_AFTER_S=str(STUCK_AFTER_S),
        KAFKA_SESSION_TIMEOUT_S="45",
    )
    arena.feed_reviews(50)
    worker.wait_for_log("IN FORWARD")
    worker.send(signal.SIGSTOP)
    _, status = os.waitpid(worker.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
        probe.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        time.sleep(STUCK_AFTER_S + 2)
        probe.settimeout(0.5)
        with pytest.raises(TimeoutError):
            probe.recv(1)
        worker.send(signal.SIGCONT)
        probe.settimeout(20)
        answer = b"".join(iter(lambda: probe.recv(4_096), b""))
    assert answer.split()[1] == b"200", answer
    assert b'"in_flight_records":50' in answer
    gate.unlink()
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    judge(arena)
