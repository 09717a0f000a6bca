"""``tagline demo``: the whole product on this machine, watched live."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.streams import console, say

if TYPE_CHECKING:
    from rich.console import Console

    from worker.demo.session import WorkerProcess
    from worker.demo.watch import Tally
    from worker.local.stack import Stack

REFRESH_S = 0.5
STATUS_EVERY_S = 5.0
SAMPLED_LINES = 2
"""Tagged events printed at each refresh without a terminal: a few can be read, forty a second cannot."""


def demo(
    seconds: Annotated[
        float,
        typer.Option(min=0, help="How long to feed events; 0 goes on until Ctrl-C."),
    ] = 45.0,
    rate: Annotated[
        float, typer.Option(min=0.1, help="Events per second. A small CPU tags a few hundred a second.")
    ] = 40.0,
    keep: Annotated[bool, typer.Option("--keep", help="Leave Kafka and Redis running at the end.")] = False,
) -> None:
    """Start Kafka and Redis here, feed sample events, run a worker, and watch them come out tagged.

    Uses the brokers and the Redis named by TAGLINE_KAFKA_BOOTSTRAP_SERVERS and TAGLINE_REDIS_URL where they are set.
    Ends by itself with a summary; Ctrl-C ends it early, and drains the worker all the same.
    """
    from worker.demo import gauges, view
    from worker.demo.session import running, settle
    from worker.errors import DependencyError
    from worker.local.interrupts import ended_by_a_signal
    from worker.local.stack import Stack
    from worker.settings import TelemetrySettings
    from worker.telemetry.logs import configure_logs

    # What the screen shows is from the outside; the worker's own log is a file, and Kafka's clients here keep quiet.
    configure_logs(TelemetrySettings(log_level="error"))
    screen = console()
    stack = Stack()
    was_up = any(part.owner == "ours" and part.running for part in stack.status())
    began = time.monotonic()
    # A closed terminal ends it like Ctrl-C does, the worker and the stack with it.
    with ended_by_a_signal(), _ending(stack, leave=was_up or keep):
        addresses = stack.up(_progress)
        _progress("loading the model")
        with running(addresses, rate, stack.folder) as (tally, worker, feeder):
            began = time.monotonic()
            try:
                _watch(screen, tally, worker, began=began, seconds=seconds)
            except KeyboardInterrupt:
                _progress("stopping: what is on its way is finished first")
            feeder.stop()
            elapsed_s = time.monotonic() - began
            settle(tally, worker)
            last = gauges.read(worker.http)
            exit_code = worker.stop()
        view.summary(screen, tally, last, elapsed_s=elapsed_s, exit_code=exit_code)
    if exit_code or tally.accounted < tally.fed:
        raise DependencyError(
            f"the worker ended with exit code {exit_code}, {tally.fed - tally.accounted} events have no outcome",
            hint=f"Its log is in {stack.folder / 'worker.log'}.",
        )


@contextmanager
def _ending(stack: "Stack", *, leave: bool) -> Iterator[None]:
    """End the stack afterwards, unless it is to be left running."""
    from worker.local.interrupts import undisturbed

    try:
        yield
    finally:
        if not leave:
            with undisturbed():
                stack.down(_progress)


def _progress(line: str) -> None:
    say(f"==> {line}")


def _watch(
    screen: "Console", tally: "Tally", worker: "WorkerProcess", *, began: float, seconds: float
) -> None:
    """Show what comes out until the time is up or the worker is gone."""
    from rich.live import Live

    from worker.demo import gauges, view

    def over() -> bool:
        return worker.ended or (seconds > 0 and time.monotonic() - began >= seconds)

    if not screen.is_terminal:
        _print_lines(screen, tally, worker, over)
        return
    with Live(console=screen, auto_refresh=False, transient=True) as live:
        while not over():
            time.sleep(REFRESH_S)
            elapsed_s = time.monotonic() - began
            live.update(
                view.screen(tally, gauges.read(worker.http), elapsed_s=elapsed_s, seconds=seconds),
                refresh=True,
            )


def _print_lines(
    screen: "Console", tally: "Tally", worker: "WorkerProcess", over: Callable[[], bool]
) -> None:
    """For output that is not a terminal: some of the tagged events, and the counters every few seconds."""
    from worker.demo import gauges, view

    shown, next_status = 0, time.monotonic() + STATUS_EVERY_S
    while not over():
        time.sleep(REFRESH_S)
        new = list(tally.recent)[-SAMPLED_LINES:] if tally.tagged > shown else []
        shown = tally.tagged
        for tag in new:
            screen.print(view.plain_line(tag), highlight=False, markup=False, soft_wrap=True)
        if time.monotonic() >= next_status:
            next_status += STATUS_EVERY_S
            status = view.status_line(tally, gauges.read(worker.http))
            screen.print(status, highlight=False, markup=False, soft_wrap=True)
