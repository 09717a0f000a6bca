"""``tagline run``: one worker until it is told to stop."""

from typing import Annotated, Literal

import typer


def run(
    delivery: Annotated[
        Literal["at_least_once", "exactly_once"] | None,
        typer.Option(
            help="Overrides TAGLINE_DELIVERY. exactly_once needs subscribers that read read_committed."
        ),
    ] = None,
) -> None:
    """Run one worker until it is told to stop.

    It reads listings.created.v1 and reviews.posted.v1, and publishes tagged events, signals and dead letters. Every
    option is a setting: `tagline config docs` lists them, `tagline config show` prints those in force.

    SIGTERM or Ctrl-C drains: what is in flight is finished and committed, then it ends with exit code 0; while it still
    starts, it ends at once with 0. A second signal ends a drain at once with 130; nothing is lost, the records in flight are
    read again. Other exit codes: 3 Kafka does not
    answer, 4 credentials refused, 5 the model bundle, 6 topics or offsets, 7 the drain took too long, 8 no progress.
    """
    from worker.pipeline.stop import StopSignal, end_at_once

    # Before anything that takes time: a process that is told to stop while it starts ends with 0.
    stop = StopSignal()
    stop.install()

    import structlog

    from worker.errors import DrainTimeoutError, ExitCode, StuckError, TaglineError
    from worker.pipeline.service import serve
    from worker.settings import load
    from worker.telemetry.logs import configure_logs

    log = structlog.get_logger(__name__)
    settings = load({"delivery": delivery} if delivery else None)
    configure_logs(settings.telemetry)
    stop.drain_timeout_s = settings.limits.drain_timeout_s
    try:
        serve(settings, stop)
    except TaglineError as error:
        # Once more as an event, for who collects those and not the lines that a command ends with.
        log.error(  # noqa: TRY400 - it says what to do; where it was raised helps nobody
            "worker ended",
            error=type(error).__name__,
            reason=error.message,
            exit_code=int(error.exit_code),
        )
        if not isinstance(error, DrainTimeoutError | StuckError):
            raise
        # A stage hangs. The interpreter would wait for its threads before it ends, and so for ever.
        end_at_once(error.exit_code, f"{error.message}\nhint: {error.hint}")
    except Exception:
        log.exception("worker ended by a bug", exit_code=int(ExitCode.BUG))
        raise
    stop.ignore()
