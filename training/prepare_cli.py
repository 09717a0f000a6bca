"""``tagline train prepare``: labelled files in, splits without leaks out."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli_options import SPLIT_OFF, Files, Label, Seed, Share, given_once, load_rows, share_of


def prepare(
    files: Files,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for train, validation and test as .jsonl.gz.")
    ],
    test: Annotated[
        list[Path] | None, typer.Option(help="Ready test file; repeatable. Else a share is split off.")
    ] = None,
    validation: Annotated[list[Path] | None, typer.Option(help="Ready validation file; repeatable.")] = None,
    validation_share: Share = None,
    test_share: Share = None,
    label: Label = None,
    seed: Seed = 0,
) -> None:
    """Deduplicate and split labelled files. A text of a test or validation split never stays in train."""
    from training.labels import parse_meanings
    from training.prepare import SPLITS
    from training.prepare import prepare as split
    from training.runs import refuse_in_place, write_run
    from training.splits import split_file, write_splits

    inputs = given_once(files, test, validation)
    for name in SPLITS:
        refuse_in_place(split_file(out, name), *inputs)
    validation_share = share_of("validation", validation, validation_share, SPLIT_OFF)
    test_share = share_of("test", test, test_share, SPLIT_OFF)
    prepared = split(
        load_rows(files, label, labelled=True),
        validation_share=validation_share,
        test_share=test_share,
        seed=seed,
        test_rows=load_rows(test, label, labelled=True),
        validation_rows=load_rows(validation, label, labelled=True),
    )
    shares = {"validation_share": validation_share, "test_share": test_share}
    write_run(
        out,
        stage="prepare",
        options={**shares, "seed": seed, "labels": parse_meanings(label or [])},
        inputs=inputs,
    )
    write_splits(out, prepared)
    for name, count in prepared.counts.items():
        unlabelled = sum(row.label is None for row in prepared.splits.get(name, ()))
        typer.echo(f"{name}: {count}" + (f", {unlabelled} of them without label" if unlabelled else ""))
    if not prepared.counts["train"]:
        typer.echo("warning: no row is left to train on", err=True)
    for name, share in (("validation", validation_share), ("test", test_share)):
        if share and not prepared.counts[name]:
            typer.echo(
                f"warning: the share {share} of so few rows left {name} empty; raise --{name}-share", err=True
            )
