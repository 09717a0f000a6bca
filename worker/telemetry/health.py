"""/livez, /readyz and /metrics, answered from plain numbers that the stages leave behind. Touches no client.

* ``/livez`` says 503 when work is in flight and nothing of it was finished for too long, or when the consumer's loop has
  stopped turning: a restart helps. It stays 200 while the worker starts, and while Kafka is away and nothing is in flight.
  Time in which the process did not run (SIGSTOP, a frozen container, a suspended machine) is no standstill of its own.
* ``/readyz`` says 200 when everything in ``HealthState.ready`` is true: the model is loaded, Kafka was reached, and the group
  has said which partitions are ours (perhaps none). Redis is not among it: the worker tags without.
"""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import structlog

from worker.errors import UsageError
from worker.settings import TelemetrySettings
from worker.telemetry import metrics
from worker.telemetry.waited import MOST_STEP_S, Waited

log = structlog.get_logger(__name__)

REQUEST_TIMEOUT_S = 5.0
"""A client that has not sent its request and taken its answer by then is hung up on, however busily it dribbles."""
MOST_CONNECTIONS = 32
"""Probes and scrapers are a handful; each connection is a thread and a socket, and those beyond this many are closed."""


class HealthState:
    """What the stages leave behind. Written by their threads, read by the server's; single fields, no lock needed."""

    def __init__(self, *, stuck_after_s: float, clock: Callable[[], float] | None = None) -> None:
        """``clock`` gives seconds; when it is None, those in which the process ran."""
        self.interval_s = min(MOST_STEP_S, stuck_after_s / 4)
        """How often somebody must ask here, which the guard does: what goes by in between counts for no more."""
        self.ready: dict[str, bool] = {"model": False, "kafka": False, "group": False}
        """By part: whether it is there. Set by whoever knows."""
        self._stuck_after_s = stuck_after_s
        self._clock = clock or Waited(self.interval_s).look
        self._in_flight = 0
        self._moved_at = self._clock()
        self._turned_at: float | None = None

    def progress(self, in_flight_records: int) -> None:
        """Called by the consumer's owner at every turn of its loop, with the number of records in flight.

        Any change of that number is progress: the pipeline's bounds let it grow only for a while, so it stands still
        when nothing leaves.
        """
        now = self._clock()
        if in_flight_records == 0 or in_flight_records != self._in_flight:
            self._moved_at = now
        self._in_flight = in_flight_records
        self._turned_at = now

    def seconds_since_turn(self) -> float:
        """Since the owner's loop last turned; 0 until it first did."""
        return 0.0 if self._turned_at is None else self._clock() - self._turned_at

    def alive(self) -> tuple[bool, dict[str, object]]:
        """Whether the process makes progress or has nothing to do, and why."""
        idle_s = self._clock() - self._moved_at if self._in_flight else 0.0
        turn_s = self.seconds_since_turn()
        alive = max(idle_s, turn_s) <= self._stuck_after_s
        return alive, {
            "alive": alive,
            "in_flight_records": self._in_flight,
            "seconds_without_progress": round(idle_s, 3),
            "seconds_since_turn": round(turn_s, 3),
        }

    def readiness(self) -> tuple[bool, dict[str, object]]:
        """Whether records are being taken, and which part is missing."""
        parts = dict(self.ready)
        ready = all(parts.values())
        return ready, {"ready": ready, **parts}


@contextmanager
def serve_health(
    state: HealthState, settings: TelemetrySettings, *, request_timeout_s: float = REQUEST_TIMEOUT_S
) -> Iterator[str | None]:
    """Serve on a thread of its own while the body runs; yields ``host:port``, or None when it is turned off.

    A port that somebody else has is no reason not to tag: another one is taken, loudly.

    Raises:
        UsageError: the address is none of this machine's, or the port needs privileges.
    """
    if settings.port < 0:
        yield None
        return
    server = _bind(state, settings, request_timeout_s)
    host, port = str(server.server_address[0]), int(server.server_address[1])
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="tagline-health", daemon=True)
    thread.start()
    log.info("health and metrics served", address=address)
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join(REQUEST_TIMEOUT_S)


def _bind(state: HealthState, settings: TelemetrySettings, request_timeout_s: float) -> "_Server":
    try:
        return _Server((settings.host, settings.port), state, request_timeout_s)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(
                f"cannot serve health and metrics on {settings.host}:{settings.port}: {error.strerror or error}",
                hint="set TAGLINE_TELEMETRY_HOST and TAGLINE_TELEMETRY_PORT; port -1 turns them off",
            ) from None
    log.warning("port for health and metrics is taken, using a free one", port=settings.port)
    return _Server((settings.host, 0), state, request_timeout_s)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a slow client must not hold up the end of the process
    request_queue_size = (
        MOST_CONNECTIONS  # the default, 5, lets a probe wait a second for its turn to connect
    )

    def __init__(self, address: tuple[str, int], state: HealthState, request_timeout_s: float) -> None:
        self.state = state
        self._request_timeout_s = request_timeout_s
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}
        """Connections that are being answered, and when they came."""
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the base class's look-up of the host's name, which can hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, or close it when there are too many."""
        with self._lock:
            taken = len(self._open) < MOST_CONNECTIONS
            if taken:
                self._open[request] = time.monotonic()
        if taken:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """The end of every connection: answered, failed, or one too many."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called at every turn of the server's loop: hang up on whoever has had time enough."""
        self._hang_up(before=time.monotonic() - self._request_timeout_s)

    def server_close(self) -> None:
        """Nobody is waited for, so nobody may stay either."""
        super().server_close()
        self._hang_up(before=time.monotonic())

    def _hang_up(self, before: float) -> None:
        """End both directions: this wakes the thread that reads or writes, and it closes the socket."""
        with self._lock:
            late = [request for request, since in self._open.items() if since <= before]
        for request in late:
            with suppress(OSError):  # it has closed the socket meanwhile
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "tagline"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._send(200, metrics.render(), "text/plain; version=0.0.4; charset=utf-8")
        elif path in {"/livez", "/readyz"}:
            good, body = self.server.state.alive() if path == "/livez" else self.server.state.readiness()
            self._send(200 if good else 503, orjson.dumps(body) + b"\n", "application/json")
        else:
            self._send(404, b"/livez, /readyz, /metrics\n", "text/plain; charset=utf-8")

    def do_HEAD(self) -> None:
        """The same without a body."""
        self.do_GET()

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Probes come every few seconds; they are not logged."""
