"""``tagline bench``: how fast is the worker on this machine, and against what?"""

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.streams import console, say


def bench(
    only: Annotated[
        str | None, typer.Option(metavar="A,B", help="Measure only these, for instance a,d.")
    ] = None,
    texts: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Unique texts; everything else scales with it. 4000 unless --quick (1000)."
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Fewer texts and one repetition: a first look, not a result to quote."),
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the texts.")] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write every number to a file.")
    ] = None,
    seconds_cap: Annotated[
        float | None, typer.Option(metavar="S", help="Begin no further repetition after this time.")
    ] = None,
) -> None:
    """Measure the worker on this machine, as ratios against simpler programs measured in the same run.

    a: from Kafka to Kafka over the bare packed forward. b: packed over padded batches of 32. c: from Kafka to Kafka over the
    plain loop (one text at a time through the tokenizer, padded to 128, batches of 16, float32). d: all texts cached over
    a raw copy loop. e: latency at 70 % load. f: resident memory after 1,000,000 cached events over that after 100,000.

    It starts a Kafka and a cache of its own and deletes them afterwards, or uses those that TAGLINE_KAFKA_BOOTSTRAP_SERVERS
    and TAGLINE_REDIS_URL name. The worker's settings in force are measured. A run takes about a quarter of an hour; progress
    goes to stderr. docs/performance.md says how to read the numbers.
    """
    import sys
    import time

    import orjson

    from worker.bench.plan import make_plan
    from worker.bench.report import as_json, as_table
    from worker.bench.session import run
    from worker.local.interrupts import ended_by_a_signal

    plan = make_plan(only=only, texts=texts, quick=quick, seed=seed)
    if json_file is not None:
        _require_writable(json_file)
    began = time.monotonic()

    def progress(line: str) -> None:
        say(f"{time.monotonic() - began:6.1f} s  {line}")

    with ended_by_a_signal():
        results, facts = run(plan, seconds_cap=seconds_cap, progress=progress)
    caption = (
        "one quick repetition, not a result to quote"
        if quick
        else f"medians of {plan.repetitions} repetitions; e and f run once"
    )
    try:
        console(width_in_files=160).print(as_table(results, caption))
    finally:  # what so many minutes found is in one place, whatever becomes of the other
        if json_file is not None:
            report = as_json(plan, facts, results, sys.argv[1:])
            json_file.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")


def _require_writable(file: Path) -> None:
    """Refuse now what could not be written at the end. An earlier report in the file stays until there is a new one."""
    from worker.errors import UsageError

    try:
        is_new = not file.exists()
        file.open("ab").close()
        if is_new:
            file.unlink()
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", hint="name another file") from error
