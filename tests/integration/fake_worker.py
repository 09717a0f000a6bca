"""A real worker with a fake model, and, when asked, one fault at a known point.

    python -m tests.integration.fake_worker [--kill POINT] [--stop POINT] [--terminate POINT] [--time-out POINT] [--after N] ...

Everything but the model is the product's own code, settings from the environment included. A fault wraps one function of the
product: when it returns for the N-th time the process kills itself, stops itself (SIGSTOP), is told to stop (SIGTERM), or
hears that the call timed out although it did its work. It prints ``FAULT AT point`` first, which the tests require, so that
a test whose fault did not happen fails.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from tests.fake_engine import FakeEngine
from worker.cache.tiers import Cache
from worker.classify.answers import Text
from worker.classify.rescue import is_device_lost
from worker.cli import main as run_and_report
from worker.errors import DeviceError
from worker.pipeline import prepare, service
from worker.stream.exactly_once import ExactlyOncePublisher
from worker.stream.intake import Intake
from worker.stream.offsets import Offsets
from worker.stream.publish import AtLeastOncePublisher

PATH: dict[str, list[tuple[Any, str]]] = {
    "after poll": [(Intake, "_close_windows")],
    "after parse": [(prepare, "normalise")],
    "after cache read": [(Cache, "get_many")],
    "during forward": [(FakeEngine, "compute")],
    "after cache write": [(Cache, "put_many")],
    "between produce and acknowledgement": [
        (AtLeastOncePublisher, "publish"),
        (ExactlyOncePublisher, "_produce_all"),
    ],
    "between acknowledgement and commit": [(Offsets, "store"), (ExactlyOncePublisher, "_send_offsets")],
    "after the end of the transaction": [(ExactlyOncePublisher, "_transact")],
}
"""Where something can be made to happen on every record's path: after the return of these functions."""
POINTS = {
    **PATH,
    "after a roll-back": [(ExactlyOncePublisher, "_roll_back")],
    "before a beginning is committed": [(Offsets, "_latest")],
}
"""Those, and where few records come by."""


def announce(what: str) -> None:
    """Tell the test, through the log."""
    print(what, file=sys.stderr, flush=True)


def kill() -> None:
    """SIGKILL, at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def stop() -> None:
    """SIGSTOP; the test sends SIGCONT."""
    # To this thread: sent to the process, another thread may take it, and until that runs this one goes on past the point.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def terminate() -> None:
    """SIGTERM, and time for the owner's loop to see it before anything else happens."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)


def time_out() -> None:
    """What a call raises when its answer did not come in time."""
    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the answer was lost (injected)"))


def faulty(
    function: Callable[..., Any], point: str, after: int, fault: Callable[[], None]
) -> Callable[..., Any]:
    """The function, with the fault after its N-th return."""
    calls = 0

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        result = function(*arguments, **named)
        calls += 1
        if calls == after:
            announce(f"FAULT AT {point}")
            fault()
        return result

    return wrapped


def lose_the_device() -> None:
    """What the engine raises when a GPU breaks down."""
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    if is_device_lost(error):  # the engine's own judgement, or nothing is injected
        announce("DEVICE LOST")
        raise DeviceError("the device is lost") from error


class Forward:
    """What happens in the middle of a forward."""

    def __init__(
        self, gate: Path | None, failing: int | None, killer: str | None, breaker: str | None
    ) -> None:
        self._gate, self._failing, self._killer, self._breaker = gate, failing, killer, breaker
        self._count = 0

    def __call__(self, texts: Sequence[Text]) -> None:
        """Die of a text, or break down of one; wait while the gate exists; break down when it is time to."""
        self._count += 1
        if self._killer is not None and any(self._killer in text.text for text in texts):
            announce(f"KILLED BY ONE OF {len(texts)}")
            kill()
        if self._breaker is not None and any(self._breaker in text.text for text in texts):
            announce(f"BROKEN BY ONE OF {len(texts)}")
            lose_the_device()
        if self._gate is not None and self._gate.exists():
            announce("IN FORWARD")
            while self._gate.exists():
                time.sleep(0.005)
        if self._count == self._failing:
            lose_the_device()


def main() -> int:
    """Parse, patch, run."""
    parser = argparse.ArgumentParser()
    faults = {"kill": kill, "stop": stop, "terminate": terminate, "time_out": time_out}
    for name in faults:
        parser.add_argument(f"--{name.replace('_', '-')}", choices=POINTS)
    parser.add_argument(
        "--after", type=int, default=1, help="return of the function at which the fault happens"
    )
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each forward takes")
    parser.add_argument("--gate", type=Path, help="forwards wait while this file exists")
    parser.add_argument("--failing", type=int, help="forward at which the device breaks down")
    parser.add_argument("--killer", help="the process dies in the forward of a text that contains this")
    parser.add_argument(
        "--breaker", help="the device breaks down in the forward of a text that contains this"
    )
    parser.add_argument("--standby", type=Path, help="begin when this file is gone, and be quick then")
    parser.add_argument("--connect-timeout", type=float, help="seconds that the start waits for the brokers")
    options = parser.parse_args()
    for name, fault in faults.items():
        if point := getattr(options, name):
            for owner, function in POINTS[point]:
                setattr(owner, function, faulty(getattr(owner, function), point, options.after, fault))
    if options.connect_timeout:
        service.CONNECT_TIMEOUT_S = options.connect_timeout
    while options.standby is not None and options.standby.exists():
        time.sleep(0.01)
    engine = FakeEngine(
        delay_s=options.delay,
        in_forward=Forward(options.gate, options.failing, options.killer, options.breaker),
    )
    service.load_engine = lambda _settings: engine
    return run_and_report(["run"])


if __name__ == "__main__":
    sys.exit(main())
