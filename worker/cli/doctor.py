"""``tagline doctor``: is everything that the worker relies on as it should be?"""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from worker.doctor.finding import Finding

_COLOURS = {"ok": "green", "skipped": None, "warning": "yellow", "failed": "red"}


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object with every finding, for scripts.")
    ] = False,
) -> None:
    """Check versions, model, Kafka, topics, group, Redis, clocks and time-outs, with a hint for each fault.

    It reads and changes nothing. The exit code is that of the first failure: 2 settings, 3 something does not answer or is
    too old, 4 refused, 5 the model, 6 topics or offsets. Warnings leave it at 0.
    """
    from worker.doctor.examination import examine
    from worker.doctor.finding import failed, worst_exit_code
    from worker.errors import TaglineError
    from worker.settings import load

    findings = []
    try:
        settings = load()
    except TaglineError as error:
        if not as_json:
            raise
        findings.append(failed("settings", error.message, error.hint, error.exit_code))
    else:
        for finding in examine(settings):
            findings.append(finding)
            if not as_json:
                _print(finding)
    code = worst_exit_code(findings)
    if as_json:
        import orjson

        report = {"exit_code": int(code), "findings": [finding.as_dict() for finding in findings]}
        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    raise typer.Exit(code)


def _print(finding: "Finding") -> None:
    level = typer.style(f"{finding.level.value:<8}", fg=_COLOURS[finding.level.value])
    typer.echo(f"{level} {finding.check:<10} {finding.detail}")
    if finding.hint:
        typer.echo(f"{'':<20}hint: {finding.hint}")
