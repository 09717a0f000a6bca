"""``tagline train bundle``: labelled files in, a bundle that the worker loads out."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli_options import Epochs, Files, Label, Minutes, Rate, Seed, given_once, load_rows, share_of

SHARE = 0.1
"""Twice what `prepare` splits off: here a few hundred rows are usual, and a temperature and a score need some dozens of them."""
Share = Annotated[
    float | None,
    typer.Option(min=0, max=0.5, help=f"Share to split off where no ready file is given; {SHARE}."),
]


def bundle(
    files: Files,
    out: Annotated[
        Path,
        typer.Option(
            file_okay=False,
            help="Folder for the splits, the run and `bundle`. A killed call goes on when repeated.",
        ),
    ],
    base: Annotated[
        str | None,
        typer.Option(
            help="What to go on from: a bundle, a folder or a hub name of a BERT encoder; the shipped bundle."
        ),
    ] = None,
    test: Annotated[list[Path] | None, typer.Option(help="Ready test file; repeatable.")] = None,
    validation: Annotated[list[Path] | None, typer.Option(help="Ready validation file; repeatable.")] = None,
    validation_share: Share = None,
    test_share: Share = None,
    label: Label = None,
    name: Annotated[str, typer.Option(help="The bundle's name in events.")] = "mine",
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1",
    epochs: Epochs = 3.0,
    minutes: Minutes = None,
    lr: Rate = 5e-5,
    max_tokens: Annotated[
        int | None, typer.Option(min=8, help="Longest text in tokens; as the base was trained, else 256.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Make a bundle of your own: split, fine-tune, calibrate, score and export, in one call."""
    import shlex

    from training.finetune import FinetuneConfig
    from training.labels import parse_meanings
    from training.processes import check_alone
    from training.recipes.own import OwnConfig, make_bundle, tokens_per_batch
    from training.recipes.own_table import render
    from training.recipes.start import open_start
    from training.runs import refuse_in_place
    from training.train_config import TrainConfig
    from worker.classify.bundle import default_bundle

    check_alone("bundle")
    base = base or str(default_bundle())
    refuse_in_place(out, Path(base))
    validation_share = share_of("validation", validation, validation_share, SHARE)
    test_share = share_of("test", test, test_share, SHARE)
    inputs = given_once(files, validation, test)
    rows = load_rows(files, label, labelled=True)
    start = open_start(base)
    config = OwnConfig(
        finetune=FinetuneConfig(
            train=TrainConfig(
                epochs=epochs,
                budget_minutes=minutes,
                lr=lr,
                tokens_per_batch=tokens_per_batch(rows),
                seed=seed,
            ),
            max_tokens=start.max_tokens if max_tokens is None else max_tokens,
        ),
        name=name,
        version=version,
        validation_share=validation_share,
        test_share=test_share,
    )
    manifest = make_bundle(
        rows,
        start,
        out,
        config,
        validation_rows=load_rows(validation, label, labelled=True),
        test_rows=load_rows(test, label, labelled=True),
        inputs=inputs,
        meanings=parse_meanings(label or []),
    )
    made = out / "bundle"
    typer.echo(
        f"\n{render(manifest)}\n{manifest['name']} {manifest['version']} in {made}; its card is {made / 'README.md'}"
    )
    kind = "" if "review" in manifest["kinds"] else " --kind title"
    typer.echo(
        f'try it: TAGLINE_MODEL_BUNDLE={shlex.quote(str(made))} tagline classify{kind} "broke after two days" "works very well"'
    )
