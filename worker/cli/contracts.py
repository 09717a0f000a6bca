"""Export the schemas of all messages, or check for drift."""

import json
from pathlib import Path
from typing import Annotated

import typer

from worker.contracts import schemas
from worker.errors import DataError, ExitCode, UsageError
from worker.local.folders import REFUSALS
from worker.signals.examples import golden_examples

FOLDER = Path("docs/contracts")

app = typer.Typer(help="Export the schemas of all messages, or check for drift and incompatible changes.")


@app.command()
def export(
    to: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder to write; made if it is not there.")
    ] = FOLDER,
) -> None:
    """Write the JSON Schemas, the AsyncAPI document and the golden examples.

    Refused, with exit code 6, when the folder holds a state that the code has become incompatible with: readers built on it
    would break, so that needs a new major version.
    """
    try:
        written = schemas.export(to, golden_examples())
    except OSError as error:
        if error.errno in REFUSALS:
            raise  # a full disk, or somebody else's folder: said as for every command
        raise UsageError(
            f"{to} is no folder to write in: {error.strerror}", hint="name another with --to"
        ) from error
    for path in written:
        typer.echo(to / path)


@app.command()
def check(
    against: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder to compare with: the committed one, or an older release's."),
    ] = FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> int:
    """Compare exported contracts with the code; exit code 6 when they differ or no longer fit together."""
    try:
        problems = schemas.check(against, golden_examples())
    except DataError as error:
        if as_json:  # its exit code is that of a check that failed, and with that one stdout is a document
            nothing = schemas.Problem("drift", "asyncapi.json", error.message)
            typer.echo(json.dumps({"ok": False, "problems": [nothing._asdict()]}))
        raise
    if as_json:
        typer.echo(json.dumps({"ok": not problems, "problems": [problem._asdict() for problem in problems]}))
    else:
        for problem in problems:
            typer.echo(f"{problem.kind}: {problem.file}: {problem.detail}")
        typer.echo(f"{len(problems)} problems" if problems else "the contracts are as exported")
        if any(problem.kind == "drift" for problem in problems):
            typer.echo(
                "`tagline contracts export` writes the files anew; commit them with the change", err=True
            )
    return ExitCode.DATA if problems else ExitCode.OK
