"""``tagline dlq``: list, show and redrive dead letters."""

import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.errors import UsageError
from worker.stream.escape import hexdump, printable

if TYPE_CHECKING:
    from worker.stream.dead_letter_tools import Letter

app = typer.Typer(help="List, show and redrive dead letters.")

_READER_GROUP = "tagline-dlq-reader"
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_VALUE_BYTES_SHOWN = 65_536

Topics = Annotated[
    list[str] | None,
    typer.Option("--topic", help="An input topic (or its .dlq.v1); may be repeated.  [default: all]"),
]
Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help="A reason code; may be repeated.  [default: all]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(
    topic: Topics = None,
    reason: Reasons = None,
    since: Annotated[
        str | None, typer.Option(help="Only those younger than this: 90s, 30m, 12h, 7d.  [default: all]")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Print the newest this many; the totals count all.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest last, and count them by reason. Never shows what users wrote."""
    from collections import Counter
    from heapq import nlargest

    from worker.settings import load
    from worker.stream.dead_letter_tools import letters, topics_named
    from worker.stream.reading import Reader

    # not before 1970: to Kafka a time below 0 is no time, and one of 32 digits none at all
    since_ms = None if since is None else round(max(0.0, time.time() - _seconds(since)) * 1000)
    wanted = set(reason or ())
    totals: Counter[str] = Counter()
    with Reader(load(), _READER_GROUP) as reader:

        def summaries() -> Any:
            for letter in letters(reader, topics_named(topic or []), since_ms=since_ms):
                if not wanted or letter.reason in wanted:
                    totals[letter.reason] += 1
                    yield letter.record.timestamp_ms, letter.coordinates, _summary(letter)

        newest = sorted(nlargest(limit, summaries(), key=lambda one: one[:2]), key=lambda one: one[:2])
    if as_json:
        for *_, summary in newest:
            typer.echo(json.dumps(summary))
        return
    for _, _, one in newest:
        typer.echo(
            f"{one['at']:36} {printable(one['reason']):24} {printable(one['stage']):9} attempts {one['attempts']}  "
            f"redrives {one['redrives']}  {_age(one['timestamp_ms'])}"
        )
    counted = ", ".join(f"{count} {printable(reason)}" for reason, count in totals.most_common())
    typer.echo(f"{totals.total()} dead letters{': ' if counted else ''}{counted}", err=True)
    if totals.total() > len(newest):
        typer.echo(f"the newest {len(newest)} are listed; --limit lists more", err=True)


@app.command()
def show(
    at: Annotated[
        str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="As `tagline dlq list` prints it.")
    ],
    value: Annotated[
        bool,
        typer.Option("--value", help="Also print the original's key, headers and value: what users wrote."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: why, where it came from, how large it is; its contents only when asked for."""
    from worker.settings import load
    from worker.stream.dead_letter_tools import coordinates_of, letter_at
    from worker.stream.reading import Reader

    with Reader(load(), _READER_GROUP) as reader:
        letter = letter_at(reader, *coordinates_of(at))
    summary = _summary(letter) | {
        "error": letter.says.error if letter.says else "",
        "group": letter.says.group if letter.says else "",
        "worker_version": letter.says.worker_version if letter.says else "",
        "trimmed": list(letter.says.trimmed) if letter.says else [],
        "key_bytes": _size(letter.record.key),
        "value_bytes": _size(letter.record.value),
        "original_headers": len(_original_headers(letter)),
    }
    if as_json:
        typer.echo(json.dumps(summary | (_contents(letter) if value else {})))
        return
    for name, shown in summary.items():
        typer.echo(f"{name:17} {printable(str('' if shown is None else shown))}")
    if value:
        _print_contents(letter)


@app.command()
def redrive(
    topic: Topics = None,
    reason: Reasons = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="At most this many a second.  [default: no limit]")
    ] = None,
    max_attempts: Annotated[
        int,
        typer.Option(
            min=1, help="Leave a record that was redriven this often already: it would only come back."
        ),
    ] = 3,
    old: Annotated[
        bool,
        typer.Option(
            "--old",
            help="Also those older than 7 days: Kafka may have forgotten that they were sent, and they would go twice.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be sent.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to the topic and partition they came from: the same key, value and headers, and a count of redrives.

    Each is sent once, however often this is run or interrupted; those left out by --reason can be sent later. Do it after
    what made them fail was mended. A listing that was tagged meanwhile under a newer title gets its old one back.
    """
    from worker.settings import load
    from worker.stream.dead_letter_tools import topics_named
    from worker.stream.redrive import Selection
    from worker.stream.redrive import redrive as send_back

    selection = Selection(frozenset(reason or ()), max_attempts, old)
    report = send_back(load(), topics_named(topic or []), selection, rate=rate, dry_run=dry_run)
    sent = report.verdicts.pop("redriven", 0)
    if as_json:
        counts = {"redriven": sent, "dry_run": dry_run, "by_reason": report.reasons, "left": report.verdicts}
        typer.echo(json.dumps(counts | {"redriven_before": report.already}))
        return
    by_reason = ", ".join(f"{count} {printable(name)}" for name, count in report.reasons.most_common())
    typer.echo(f"{'would redrive' if dry_run else 'redriven'} {sent}{f' ({by_reason})' if by_reason else ''}")
    for verdict, count in report.verdicts.most_common():
        typer.echo(f"left {count}: {verdict}")
    if report.already:
        typer.echo(f"passed over {report.already}: redriven before")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a duration", hint="for instance 90s, 30m, 12h, 7d")
    return float(found[1]) * _UNITS_S[found[2]]


def _summary(letter: "Letter") -> dict[str, Any]:
    says = letter.says
    return {
        "at": letter.coordinates,
        "reason": letter.reason,
        "stage": says.stage if says else "",
        "attempts": says.attempts if says else 0,
        "redrives": says.redrives if says else 0,
        "timestamp_ms": letter.record.timestamp_ms,
        "source": f"{says.topic}/{says.partition}/{says.offset}" if says else None,
    }


def _age(timestamp_ms: int) -> str:
    """How long ago, and in brackets when."""
    seconds = max(0.0, time.time() - timestamp_ms / 1000)
    unit = next((unit for unit in "dhm" if seconds >= _UNITS_S[unit]), "s")
    when = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return f"{seconds / _UNITS_S[unit]:.0f}{unit} ago ({when:%Y-%m-%d %H:%M:%S}Z)"


def _size(data: bytes | None) -> int | None:
    return None if data is None else len(data)


def _original_headers(letter: "Letter") -> list[tuple[str, bytes | None]]:
    return letter.says.original_headers if letter.says else letter.record.headers


def _contents(letter: "Letter") -> dict[str, Any]:
    from base64 import b64encode

    def encoded(data: bytes | None) -> str | None:
        return None if data is None else b64encode(data).decode()

    return {
        "key_base64": encoded(letter.record.key),
        "headers_base64": [[name, encoded(value)] for name, value in _original_headers(letter)],
        "value_base64": encoded(letter.record.value),
    }


def _print_contents(letter: "Letter") -> None:
    typer.echo(f"{'key':17} {printable(letter.record.key)}")
    for name, value in _original_headers(letter):
        typer.echo(f"{'header':17} {printable(name)}: {printable(value)}")
    data = letter.record.value or b""
    try:
        data.decode()
    except UnicodeDecodeError:
        for line in hexdump(data[:_VALUE_BYTES_SHOWN]):
            typer.echo(line)
    else:
        typer.echo(printable(data[:_VALUE_BYTES_SHOWN]))
    if len(data) > _VALUE_BYTES_SHOWN:
        typer.echo(f"... {len(data) - _VALUE_BYTES_SHOWN} more bytes; --json holds them all", err=True)
