"""``tagline tap``: follow topics and print what comes by."""

import contextlib
import sys
from typing import Annotated

import typer


def tap(
    topics: Annotated[
        list[str] | None, typer.Argument(help="Topics to follow.  [default: all outputs; not the inputs]")
    ] = None,
    from_beginning: Annotated[
        bool,
        typer.Option("--from-beginning", help="Begin with the oldest event kept, not with the next one."),
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after this many events.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after this time.")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="NAME=VALUE",
            help="Only events with this key (key=L12) or field (sentiment.label=negative); may be repeated.",
        ),
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object a line; the default when not a terminal.")
    ] = False,
) -> None:
    """Follow the tagged topics and print what comes by, until Ctrl-C.

    It reads what is committed, joins no consumer group and commits nothing, so nobody notices it. Dead letters are among the
    outputs, and hold what users wrote: name the topics to follow where that must not be shown.
    """
    from worker.contracts.topics import TOPICS
    from worker.settings import load
    from worker.stream import tap as tapping

    wanted = tapping.parse_filters(filters or [])
    followed = topics or [one.name for one in TOPICS if one.role != "input"]
    as_line = tapping.as_json if json_lines or not sys.stdout.isatty() else tapping.as_columns
    records = tapping.follow(load(), followed, from_beginning=from_beginning, until=tapping.deadline(seconds))
    printed = 0
    with contextlib.closing(records), contextlib.suppress(KeyboardInterrupt):
        for record in records:
            if record is None or not tapping.matches(record, wanted):
                continue
            print(as_line(record), flush=True)
            printed += 1
            if count is not None and printed >= count:
                break
