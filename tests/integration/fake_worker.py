"""A real worker with a fake model, and, when asked, a kill -9 of itself at a known point.

    python -m tests.integration.fake_worker [--kill POINT --after N] [--delay SECONDS] [--poison]

Everything but the model is the product's own code, settings from the environment included. `--kill` wraps one function of
the product so that the process kills itself there the N-th time; it prints ``KILLED AT point`` first, which the test
requires, so that a test whose fault did not happen fails.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tests.fake_engine import FakeEngine
from worker.cache.tiers import Cache
from worker.cli import main as run_and_report
from worker.pipeline import prepare, service
from worker.stream.exactly_once import ExactlyOncePublisher
from worker.stream.intake import Intake
from worker.stream.offsets import Offsets
from worker.stream.publish import AtLeastOncePublisher

POINTS: dict[str, list[tuple[Any, str]]] = {
    "after poll": [(Intake, "_close_windows")],
    "after parse": [(prepare, "normalise")],
    "after cache read": [(Cache, "get_many")],
    "during forward": [(FakeEngine, "classify")],
    "after cache write": [(Cache, "put_many")],
    "between produce and acknowledgement": [
        (AtLeastOncePublisher, "publish"),
        (ExactlyOncePublisher, "_produce_all"),
    ],
    "between acknowledgement and commit": [(Offsets, "store"), (ExactlyOncePublisher, "_send_offsets")],
}
"""Where a worker can be made to kill itself: functions after whose return it dies."""


def killing(function: Callable[..., Any], point: str, after: int) -> Callable[..., Any]:
    """The function, and the end of the process after its N-th call."""
    calls = 0

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        result = function(*arguments, **named)
        calls += 1
        if calls >= after:
            print(f"KILLED AT {point}", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


def main() -> int:
    """Parse, patch, run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kill", choices=POINTS)
    parser.add_argument("--after", type=int, default=1)
    parser.add_argument("--delay", type=float, default=0.0)
    options = parser.parse_args()
    if options.kill:
        for owner, name in POINTS[options.kill]:
            setattr(owner, name, killing(getattr(owner, name), options.kill, options.after))
    engine = FakeEngine(delay_s=options.delay)
    service.load_engine = lambda _settings: engine
    return run_and_report(["run"])


if __name__ == "__main__":
    sys.exit(main())
