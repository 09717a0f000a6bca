"""Signals to a command that has something to clean up."""

import signal
from collections.abc import Iterator

import pytest

from worker.local.interrupts import ENDING, ended_by_a_signal, undisturbed


@pytest.fixture(autouse=True)
def _handlers_stay() -> Iterator[None]:
    """Whatever a test does, pytest keeps its own handlers."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    after = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


@pytest.mark.parametrize("first", ENDING)
@pytest.mark.usefixtures("signals_are_heard")
def test_the_first_signal_interrupts_and_no_later_one_does(first: signal.Signals) -> None:
    cleaned_up: list[signal.Signals] = []

    def work() -> None:
        try:
            signal.raise_signal(first)
        finally:
            for later in ENDING:
                signal.raise_signal(later)
                cleaned_up.append(later)

    with pytest.raises(KeyboardInterrupt), ended_by_a_signal():
        work()
    assert cleaned_up == list(ENDING)


def test_what_was_ignored_stays_ignored() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_a_signal():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_clean_up_is_not_disturbed_by_a_first_signal_either() -> None:
    with ended_by_a_signal():
        with undisturbed():
            for number in ENDING:
                signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
