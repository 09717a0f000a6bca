"""``tagline config``: the settings in force, and their reference page."""

import json
from typing import Annotated

import typer

from worker.settings import resolve
from worker.settings_docs import effective, settings_docs

app = typer.Typer(help="Show the settings in force, or write their reference page.")


@app.command()
def show(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object: setting -> value and source.")
    ] = False,
) -> None:
    """Print every setting in force and where it came from. Secrets are masked.

    Ends with exit code 2 when a setting is wrong or unknown, so it also checks a deployment's environment. What needs files
    or servers (certificates, brokers) is for `tagline doctor` to check.
    """
    from worker.doctor.clients import kafka_configs, require_redis_url

    resolved = resolve()
    kafka_configs(resolved.settings)
    require_redis_url(resolved.settings)
    rows = effective(resolved)
    if as_json:
        typer.echo(
            json.dumps({row.name: {"value": row.value, "source": row.origin} for row in rows}, indent=2)
        )
        return
    shown = [(row.name, _text(row.value), row.origin) for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in (0, 1)]
    for name, value, origin in shown:
        typer.echo(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}")


@app.command()
def docs() -> None:
    """Print the reference page of all settings, which is docs/settings.md."""
    typer.echo(settings_docs(), nl=False)


def _text(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict) else str(value)
