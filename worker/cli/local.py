"""`tagline local`: start and stop Kafka and Redis on this machine, without Docker, and feed them samples.

The stack's modules are imported by the commands that need them: a container feeds samples without what runs a stack.
"""

import json
import os
import shlex
import time
from dataclasses import asdict
from typing import Annotated

import typer

from worker.cli.streams import say
from worker.errors import ExitCode

app = typer.Typer(
    help="Kafka and Redis on this machine, without Docker, in `.tagline` of the current folder (TAGLINE_LOCAL_DIR "
    "chooses another). A broker or Redis of your own is used instead when TAGLINE_KAFKA_BOOTSTRAP_SERVERS or "
    "TAGLINE_REDIS_URL is set; what a settings file or a variable with _FILE names is for `feed` and the worker alone."
)


@app.command()
def up() -> None:
    """Start what does not run yet and wait until it answers. Doing it twice is harmless."""
    from worker.local.stack import Stack

    stack = Stack()
    stack.up(say)
    say('eval "$(tagline local env)" points this shell at it')


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> int:
    """Show what runs, where, and whose it is. Exit code 3 when a part does not answer."""
    from worker.local.stack import Stack

    stack = Stack()
    parts = stack.status()
    if as_json:
        typer.echo(json.dumps({"folder": str(stack.folder), "parts": [asdict(part) for part in parts]}))
    else:
        for part in parts:
            state = "running" if part.running else "not running"
            pid = f"pid {part.pid}" if part.pid else part.owner
            typer.echo(f"{part.name:<7}{state:<13}{part.address or '-':<40}{pid}")
    return ExitCode.OK if all(part.running for part in parts) else ExitCode.DEPENDENCY


@app.command()
def env() -> None:
    """Print what points a shell at the stack.

    eval "$(tagline local env)" exports it.
    """
    from worker.local.stack import Stack

    for name, value in Stack().addresses().environment().items():
        if f"{name}_FILE" in os.environ:  # beside the address itself it would be an error
            typer.echo(f"unset {name}_FILE")
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def down(
    wipe: Annotated[
        bool, typer.Option("--wipe", help="Also delete the topics and all that was kept.")
    ] = False,
) -> None:
    """End exactly what `up` started."""
    from worker.local.stack import Stack

    Stack().down(say, wipe=wipe)


@app.command()
def feed(
    rate: Annotated[
        float, typer.Option(min=0.1, help="Events per second. A small CPU tags a few hundred.")
    ] = 20.0,
    count: Annotated[
        int, typer.Option(min=0, help="End after so many; 0 goes on until it is told to stop.")
    ] = 0,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed makes the same events, their times apart.  [default: the time]"),
    ] = None,
) -> None:
    """Send sample events to the input topics.

    They are listings and reviews, a few of them broken. Kafka has to be up; the cache need not.
    """
    from worker.local.feeding import send
    from worker.settings import load, resolve

    overrides: dict[str, object] = {}
    if resolve().origins["kafka.bootstrap_servers"] == "default":
        from worker.local.stack import Stack

        overrides["kafka.bootstrap_servers"] = Stack().bootstrap_servers()
    sent = send(
        load(overrides),
        rate_per_s=rate,
        count=count or None,
        seed=time.time_ns() if seed is None else seed,
        progress=say,
    )
    say(f"{sent} events sent")
