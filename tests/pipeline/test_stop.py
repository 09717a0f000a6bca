"""The first signal asks for a drain or ends a start, the second ends the process, and a drain that never ends is ended."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from worker.errors import ExitCode

ENDED_S = 20
"""Longest wait for the end of a process."""
HANGING_THREAD = "threading.Thread(target=time.sleep, args=(600,)).start(); sys.exit(3)"
"""An error, while a thread hangs as a forward may: the interpreter waits for it. 3.12.0 to 3.12.2 start no other thread then."""

PROGRAM = """
import os
import signal
import sys
import threading
import time
from worker.pipeline import stop as module
module.MARGIN_S = {margin}
stop = module.StopSignal({drain})
stop.install()
stop.begin()
print("ready", flush=True)
def write():
    import sys, threading
    threading.Thread(target=lambda: sys.stderr.write("x" * 1_000_000), daemon=True).start()
    while True:
        time.sleep(0.01)
while {loop}:
    time.sleep(0.01)
{after}
"""


LOADING = """
import sys
import time
from worker.cli import main
from worker.pipeline import service
def load(_settings):
    print("ready", flush=True)
    time.sleep(600)
service.load_engine = load
sys.exit(main(["run"]))
"""


def program(
    loop: str,
    *,
    drain: float = 30.0,
    margin: float = 10.0,
    log: int = subprocess.DEVNULL,
    after: str = "",
) -> subprocess.Popen[bytes]:
    source = textwrap.dedent(PROGRAM.format(loop=loop, drain=drain, margin=margin, after=after))
    return running(source, log)


def running(source: str, log: int, **settings: str) -> subprocess.Popen[bytes]:
    """A process with this source that has said that it is ready."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = plain | settings
    process = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=log, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(ENDED_S)
    finally:
        process.kill()
        process.communicate()


def ended_by_two(process: subprocess.Popen[bytes], second: signal.Signals = signal.SIGTERM) -> int:
    """Of a process that one signal does not end."""
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(second)
    return ended(process)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_and_the_loop_ends_by_itself(number: signal.Signals) -> None:
    process = program("not stop()")
    process.send_signal(number)
    assert ended(process) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_still_loads_its_model_ends_at_once_with_0(number: signal.Signals) -> None:
    """The drain's time-out would end it with the code of a drain that took too long."""
    settings = {"TAGLINE_TELEMETRY_PORT": "0", "TAGLINE_LIMITS_DRAIN_TIMEOUT_S": "0.5"}
    process = running(LOADING, subprocess.DEVNULL, **settings)
    process.send_signal(number)
    assert ended(process) == ExitCode.OK


def test_the_second_signal_ends_it_at_once() -> None:
    process = program("True")
    assert ended_by_two(process, signal.SIGINT) == ExitCode.KILLED


def test_signals_are_heard_while_a_call_of_the_client_waits_for_a_broker() -> None:
    """Python's own handlers wait for the call, which here takes as long as the test would wait for the process."""
    nobody = {"bootstrap.servers": "127.0.0.1:1", "transactional.id": "t", "log_level": 0}
    process = program(f"__import__('confluent_kafka').Producer({nobody}).init_transactions({ENDED_S})")
    time.sleep(2.0)  # it is in the call by now
    began = time.monotonic()
    assert ended_by_two(process) == ExitCode.KILLED
    assert time.monotonic() - began < ENDED_S / 2


def test_a_drain_that_does_not_end_is_ended() -> None:
    process = program("True", drain=0.1, margin=0.1)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == ExitCode.DRAIN


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(HANGING_THREAD, id="the interpreter waits for a thread"),
        pytest.param("threading.stack_size(1 << 47); time.sleep(600)", id="there is no room for a thread"),
    ],
)
def test_it_ends_and_says_why_also_when_no_thread_can_be_started(after: str) -> None:
    process = program("not stop()", drain=1.0, margin=0.5, log=subprocess.PIPE, after=after)
    process.send_signal(signal.SIGTERM)
    try:
        _, said = process.communicate(timeout=ENDED_S)
    finally:
        process.kill()
    assert process.returncode == ExitCode.DRAIN
    assert said == b"tagline: ended at once: the drain did not end in time\n"


def test_signals_are_heard_also_when_the_interpreter_waits_for_a_thread() -> None:
    process = program("False", after=HANGING_THREAD)
    time.sleep(1.0)  # it waits by now
    assert ended_by_two(process) == ExitCode.KILLED


def test_it_ends_also_when_nobody_reads_its_log_any_more() -> None:
    reader, log = os.pipe()
    process = program("True", drain=0.1, margin=0.1, log=log)
    os.close(reader)
    os.close(log)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == ExitCode.DRAIN


def test_it_ends_also_when_its_log_is_full_and_somebody_waits_in_it() -> None:
    reader, log = os.pipe()
    try:
        process = program("write()", drain=0.1, margin=0.1, log=log)
        os.close(log)
        time.sleep(0.5)  # the pipe is full by now, and the writer waits with the stream's lock held
        process.send_signal(signal.SIGTERM)
        assert ended(process) == ExitCode.DRAIN
    finally:
        os.close(reader)


def test_a_signal_after_the_work_changes_nothing() -> None:
    """The interpreter takes its handlers down before it ends, and would die of a late second signal with -15."""
    late = program("not stop()", after="stop.ignore(); os.kill(os.getpid(), signal.SIGTERM); sys.exit(0)")
    late.send_signal(signal.SIGTERM)
    assert ended(late) == ExitCode.OK
