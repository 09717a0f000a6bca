"""`tagline local`: start and stop Kafka and Redis on this machine, without Docker."""

import json
import shlex
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from worker.errors import ExitCode
from worker.local.stack import Stack

app = typer.Typer(
    help="Kafka and Redis on this machine, without Docker, in `.tagline` of the current folder (TAGLINE_LOCAL_DIR "
    "chooses another). A broker or Redis of your own is used instead when TAGLINE_KAFKA_BOOTSTRAP_SERVERS or "
    "TAGLINE_REDIS_URL is set."
)


@app.command()
def up() -> None:
    """Start what does not run yet and wait until it answers. Doing it twice is harmless."""
    stack = Stack()
    stack.up(_say)
    _say('eval "$(tagline local env)" points this shell at it')


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> int:
    """Show what runs, where, and whose it is. Exit code 3 when a part does not answer."""
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
    """Print the exports that point a shell at the stack: eval "$(tagline local env)"."""
    for name, value in Stack().addresses().environment().items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def down(
    wipe: Annotated[
        bool, typer.Option("--wipe", help="Also delete the topics and all that was kept.")
    ] = False,
) -> None:
    """End exactly what `up` started."""
    Stack().down(_say, wipe=wipe)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
