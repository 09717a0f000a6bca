"""Health: alive while there is progress, ready when every part is, and served without touching a client."""

import contextlib
import json
import socket
import threading
import time
import urllib.error

import pytest

from tests.loopback import DIRECT
from tests.waiting import wait_until
from worker.errors import UsageError
from worker.settings import TelemetrySettings
from worker.telemetry import metrics
from worker.telemetry.health import MOST_CONNECTIONS, HealthState, serve_health

ANY_PORT = TelemetrySettings(port=0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def get(address: str, path: str) -> tuple[int, str]:
    try:
        with DIRECT.open(f"http://{address}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_worker_that_starts_or_idles_is_alive() -> None:
    clock = Clock()
    state = HealthState(stuck_after_s=10, clock=clock)
    clock.now += 1000
    assert state.alive()[0], "loading a model may take long"
    for _ in range(5):
        state.progress(0)
        clock.now += 9
    assert state.alive()[0]


def test_work_in_flight_that_stands_still_is_not_alive_until_it_moves() -> None:
    clock = Clock()
    state = HealthState(stuck_after_s=10, clock=clock)
    state.progress(512)
    for _ in range(11):
        clock.now += 1
        state.progress(512)
    alive, why = state.alive()
    assert not alive
    assert why["seconds_without_progress"] == 11.0
    state.progress(256)
    assert state.alive()[0]


def test_a_loop_that_stops_turning_is_not_alive_even_without_work() -> None:
    clock = Clock()
    state = HealthState(stuck_after_s=10, clock=clock)
    assert state.seconds_since_turn() == 0.0
    state.progress(0)
    clock.now += 10.5
    assert state.seconds_since_turn() == 10.5
    assert not state.alive()[0]


@pytest.mark.parametrize(("steps", "step_s", "alive"), [(1, 1_000.0, True), (11, 1.0, False)])
def test_only_time_in_which_the_process_ran_counts(
    steps: int, step_s: float, monkeypatch: pytest.MonkeyPatch, *, alive: bool
) -> None:
    """A probe that comes first after a SIGSTOP or a freeze must not have a healthy worker killed."""
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    state = HealthState(stuck_after_s=10)
    state.progress(5)
    for _ in range(steps):
        clock.now += step_s
        state.seconds_since_turn()
    assert state.alive()[0] is alive


def test_it_is_ready_when_every_part_is() -> None:
    state = HealthState(stuck_after_s=10)
    with serve_health(state, ANY_PORT) as address:
        assert address is not None
        status, body = get(address, "/readyz")
        assert (status, json.loads(body)) == (
            503,
            {"ready": False, "model": False, "kafka": False, "group": False},
        )
        state.ready |= {"model": True, "kafka": True}
        assert get(address, "/readyz")[0] == 503
        state.ready["group"] = True
        assert get(address, "/readyz")[0] == 200


def test_livez_follows_the_state() -> None:
    clock = Clock()
    state = HealthState(stuck_after_s=10, clock=clock)
    with serve_health(state, ANY_PORT) as address:
        assert address is not None
        assert get(address, "/livez")[0] == 200
        state.progress(5)
        clock.now += 11
        status, body = get(address, "/livez?verbose=1")
        assert status == 503
        assert json.loads(body)["in_flight_records"] == 5


def test_metrics_are_served_in_the_text_format() -> None:
    metrics.REBALANCES.labels("assigned").inc()
    with serve_health(HealthState(stuck_after_s=10), ANY_PORT) as address:
        assert address is not None
        status, body = get(address, "/metrics")
        assert status == 200
        assert 'tagline_rebalances_total{kind="assigned"}' in body
        assert "process_resident_memory_bytes" in body
        assert get(address, "/secrets")[0] == 404


def test_minus_one_turns_it_off() -> None:
    with serve_health(HealthState(stuck_after_s=10), TelemetrySettings(port=-1)) as address:
        assert address is None


def test_a_taken_port_does_not_keep_the_worker_from_tagging() -> None:
    with serve_health(HealthState(stuck_after_s=10), ANY_PORT) as first:
        assert first is not None
        port = int(first.rpartition(":")[2])
        with serve_health(HealthState(stuck_after_s=10), TelemetrySettings(port=port)) as second:
            assert second is not None
            assert second != first
            assert get(first, "/livez")[0] == get(second, "/livez")[0] == 200


def test_an_address_that_is_not_ours_is_a_usage_error() -> None:
    with (
        pytest.raises(UsageError, match="cannot serve health"),
        serve_health(HealthState(stuck_after_s=10), TelemetrySettings(host="192.0.2.1")),
    ):
        pass


def test_a_client_that_says_nothing_or_nonsense_delays_nobody_and_leaves_no_thread() -> None:
    before = threading.active_count()
    with contextlib.ExitStack() as silent, serve_health(HealthState(stuck_after_s=10), ANY_PORT) as address:
        assert address is not None
        host, port = address.split(":")
        for opening in (b"", b"\x00\xff garbage\r\n\r\n", b"GET /livez HT"):
            client = silent.enter_context(socket.create_connection((host, int(port)), timeout=5))
            client.sendall(opening)
        assert get(address, "/livez")[0] == 200
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(10)
    assert threading.active_count() <= before


def connected(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=5)


def dribble(client: socket.socket) -> None:
    for _ in range(100):
        client.sendall(b"G")
        time.sleep(0.05)


def answering() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def test_a_client_that_dribbles_is_hung_up_on() -> None:
    with serve_health(HealthState(stuck_after_s=10), ANY_PORT, request_timeout_s=0.5) as address:
        assert address is not None
        with connected(address) as client, pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            dribble(client)
        assert get(address, "/livez")[0] == 200


def test_a_client_that_never_takes_its_answer_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "render", lambda: b"x" * 100_000_000)
    before = answering()
    with serve_health(HealthState(stuck_after_s=10), ANY_PORT, request_timeout_s=0.5) as address:
        assert address is not None
        with connected(address) as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            wait_until(lambda: answering() > before)
            wait_until(lambda: answering() == before)


def test_many_silent_clients_take_a_bounded_number_of_threads_and_only_for_a_while() -> None:
    before = answering()
    with (
        contextlib.ExitStack() as silent,
        serve_health(HealthState(stuck_after_s=10), ANY_PORT, request_timeout_s=1.0) as address,
    ):
        assert address is not None
        most = 0
        for _ in range(3 * MOST_CONNECTIONS):
            silent.enter_context(connected(address))
            most = max(most, answering() - before)
        assert most <= MOST_CONNECTIONS
        wait_until(lambda: answering() == before)
        assert get(address, "/livez")[0] == 200


def test_the_end_of_the_server_hangs_up_on_everybody() -> None:
    before = answering()
    with contextlib.ExitStack() as silent:
        with serve_health(HealthState(stuck_after_s=10), ANY_PORT) as address:
            assert address is not None
            silent.enter_context(connected(address))
            wait_until(lambda: answering() == before + 1)
        wait_until(lambda: answering() == before, timeout_s=2)
