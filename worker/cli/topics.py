"""``tagline topics``: create the topics, or check those that exist."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from worker.errors import ExitCode

if TYPE_CHECKING:
    from worker.stream.admin import Difference

app = typer.Typer(
    help="Create the topics, or check those that exist, against the one declaration in worker.contracts.topics."
)

_MOST_PARTITIONS, _MOST_REPLICAS = 100_000, 10_000
"""What the client refuses to ask for more than, in its own way."""


@app.command()
def create(
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_PARTITIONS,
            help="Partitions of every topic made. The largest number of workers that can share the work; choose it for "
            "later, because adding partitions moves keys.  [default: as declared]",
        ),
    ] = None,
    replication: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_REPLICAS,
            help="Replicas of every topic made; 3 in production.  [default: the broker's]",
        ),
    ] = None,
    alter: Annotated[
        bool,
        typer.Option(
            "--alter",
            help="Also make existing topics as declared: their configuration and, with --partitions, more partitions.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Create the topics that are missing. Safe to repeat: existing topics are left alone unless --alter is given.

    Ends with exit code 6 when an existing topic differs from the declaration.
    """
    from worker.contracts.topics import TOPICS
    from worker.settings import load
    from worker.stream import admin as topics
    from worker.stream.config import admin_config, open_admin

    declared = topics.with_partitions(TOPICS, partitions)
    altered: list[topics.Difference] = []
    with open_admin(admin_config(load())) as client:
        created = topics.create(client, declared, replication=replication)
        existed = [one for one in declared if one.name in created.existed]
        found = topics.look(client, [one.name for one in declared])
        differing = topics.differences(existed, found, partitions=partitions)
        if alter:
            left = topics.alter(client, differing)
            altered, differing = [one for one in differing if one not in left], left
    if as_json:
        report = {**created._asdict(), "altered": _plain(altered), "differences": _plain(differing)}
        typer.echo(json.dumps(report))
    else:
        for name in created.made:
            typer.echo(f"made     {name}")
        for name in created.existed:
            typer.echo(f"exists   {name}")
        for one in altered:
            typer.echo(f"altered  {one.topic}: {one.property} from {one.found} to {one.declared}")
        _print_differences(differing)
    if differing:
        raise typer.Exit(ExitCode.DATA)


@app.command()
def check(
    partitions: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_PARTITIONS,
            help="Partitions that every topic should have.  [default: any number will do]",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the topics with the declaration: existence, clean-up, retention, largest message, partitions.

    Ends with exit code 6 when anything differs, and names the command that mends it.
    """
    from worker.contracts.topics import TOPICS
    from worker.settings import load
    from worker.stream import admin as topics
    from worker.stream.config import admin_config, open_admin

    with open_admin(admin_config(load())) as client:
        found = topics.look(client, [one.name for one in TOPICS])
    differing = topics.differences(TOPICS, found, partitions=partitions)
    if as_json:
        listed = [
            {"name": one.name, "partitions": one.partitions, "replication": one.replication}
            for one in found.values()
        ]
        typer.echo(json.dumps({"topics": listed, "differences": _plain(differing)}))
    else:
        wrong = {one.topic for one in differing}
        for one in found.values():
            verdict = "differs" if one.name in wrong else "ok"
            shape = f"{one.partitions} partitions, {one.replication} replica(s)"
            typer.echo(f"{verdict:8} {one.name:28} {shape}")
        _print_differences(differing)
    if differing:
        raise typer.Exit(ExitCode.DATA)


def _plain(differing: "list[Difference]") -> list[dict[str, str | None]]:
    return [one._asdict() for one in differing]


def _print_differences(differing: "list[Difference]") -> None:
    for one in differing:
        if one.found is None:
            typer.echo(f"missing  {one.topic}")
        else:
            typer.echo(
                f"differs  {one.topic}: {one.property} is {one.found or 'not set'}, declared {one.declared}"
            )
    if any(one.found is None for one in differing):
        typer.echo("hint: `tagline topics create` makes what is missing", err=True)
    existing = [one for one in differing if one.found is not None]
    if any(one.property != "partitions" or int(one.found or 0) < int(one.declared) for one in existing):
        typer.echo("hint: `tagline topics create --alter` makes existing topics as declared", err=True)
    elif existing:
        typer.echo("hint: partitions cannot be taken away; check with the number that there is", err=True)
