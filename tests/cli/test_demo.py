"""The end of `tagline demo`: whatever happens, what it started is stopped."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from worker.cli import main
from worker.demo import session
from worker.errors import ExitCode
from worker.local import stack
from worker.local.interrupts import ENDING


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a stack that only pretends was stopped of. Each signal comes while it stops."""
    gone: list[str] = []

    class Pretence:
        folder = None

        def status(self) -> tuple[()]:
            return ()

        def up(self, progress: Callable[[str], None]) -> None:
            progress("starting")

        def down(self, progress: Callable[[str], None]) -> None:
            for part in ("Kafka", "the cache"):
                progress(f"stopping {part}")
                for number in ENDING:
                    signal.raise_signal(number)
                gone.append(part)

    monkeypatch.setattr(stack, "Stack", Pretence)
    monkeypatch.setattr("worker.telemetry.logs.configure_logs", lambda _: None)
    return gone


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.usefixtures("signals_are_heard")
def test_a_second_signal_does_not_keep_the_stack_from_being_stopped(
    number: signal.Signals, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def running(*_: Any) -> Iterator[Any]:
        signal.raise_signal(number)
        yield

    monkeypatch.setattr(session, "running", running)
    assert main(["demo"]) == ExitCode.KILLED
    assert stopped == ["Kafka", "the cache"]
