"""``tagline train evaluate | prune | quantise | forms | export | unpack | compare``: from a trained model to a bundle."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from training.cli_options import Files, Label, OwnTokens, Validation, given_once, load_rows, load_sets

app = typer.Typer()


@app.command()
def evaluate(
    files: Files,
    model: Annotated[Path, typer.Option(help="A bundle, a run's folder, or the `model` in it.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for scores.json.")],
    train: Annotated[
        list[Path] | None,
        typer.Option(help="Training file; repeatable. Adds the TF-IDF + LR row, refuses leaks."),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="To score a run's `adapters`: what they were trained upon.")
    ] = None,
    label: Label = None,
    max_tokens: OwnTokens = None,
) -> None:
    """Score a model on labelled files: accuracy, macro-F1, ECE, per class and category, beside the baselines."""
    from training.compare import compare as table
    from training.evaluate import linear_rows
    from training.labels import parse_meanings
    from training.model import adapters_folder
    from training.prepare import check_no_leak
    from training.runs import max_tokens_of, model_files, refuse_in_place, write_json, write_run
    from training.scores import evaluate_folder

    refuse_in_place(out, model)
    inputs = given_once(files, train)
    sets = load_sets(files, label)
    trained_on = load_rows(train, label)
    for name, rows in sets.items():
        check_no_leak({"--train": trained_on, name: rows})
    max_tokens = max_tokens_of(model, max_tokens)
    scores = evaluate_folder(model, sets, max_tokens=max_tokens, base=base)
    if train:
        for name, value in linear_rows(trained_on, sets).items():
            scores[name]["linear"] = value
    write_run(
        out,
        stage="evaluate",
        options={"model": model, "max_tokens": max_tokens, "labels": parse_meanings(label or [])},
        inputs=[*inputs, *model_files(adapters_folder(model) if base else model)],
    )
    write_json(out / "scores.json", {"sets": scores})
    typer.echo(table([out]), nl=False)


@app.command()
def prune(
    files: Files,
    model: Annotated[str, typer.Option(help="A run's folder, or the folder or hub name of a BERT encoder.")],
    pieces: Annotated[int, typer.Option(min=1, help="Word pieces to keep.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the smaller checkpoint.")],
) -> None:
    """Cut a checkpoint's vocabulary to the pieces that the texts use most, to fine-tune it or its student."""
    from training.runs import refuse_in_place, write_run
    from training.vocabulary import prune_folder

    refuse_in_place(out, Path(model))
    inputs = given_once(files)
    rows = load_rows(files, labels=False)
    before, after = prune_folder(model, (row.text for row in rows), pieces, out)
    write_run(out, stage="prune", options={"model": Path(model), "pieces": pieces}, inputs=inputs)
    typer.echo(f"{after} of {before} pieces; model in {out}")


@app.command()
def quantise(
    model: Annotated[Path, typer.Option(help="A run's folder, or the `model` in it.")],
    out: Annotated[
        Path,
        typer.Option(file_okay=False, help="Folder for the model with int8-rounded weights, as float32."),
    ],
) -> None:
    """Round every matrix to int8 rows, to score what a bundle would hold before it is exported."""
    from training.quantise import quantise_folder
    from training.runs import model_files, refuse_in_place, write_run

    refuse_in_place(out, model)
    error = quantise_folder(model, out)
    write_run(out, stage="quantise", options={"model": model}, inputs=model_files(model))
    typer.echo(f"mean relative error of a matrix {error:.4f}; model in {out}")


@app.command()
def forms(
    test: Annotated[Path, typer.Argument(help="Labelled file of one kind to score on.")],
    model: Annotated[Path, typer.Option(help="A run's folder, or the `model` in it.")],
    calibration: Annotated[
        Path, typer.Option(help="Texts that set the ranges of static int8; not the test.")
    ],
    calibration_rows: Annotated[int, typer.Option(min=1, help="So many of them, drawn at random.")] = 500,
    max_tokens: OwnTokens = None,
) -> None:
    """Compare the forms of one model: float32, float16, int8 rows, bfloat16, static int8."""
    from training.forms import measure_forms, render
    from training.prepare import check_no_leak
    from training.runs import max_tokens_of
    from training.sets import kind_of, labelled_rows

    rows = labelled_rows(test)
    kind_of(rows)
    given_once([test], [calibration])
    texts = load_rows([calibration], labels=False)
    check_no_leak({"calibration": texts, "test": rows})
    measured = measure_forms(
        model, rows, texts, max_tokens=max_tokens_of(model, max_tokens), calibration_rows=calibration_rows
    )
    typer.echo(render(measured), nl=False)


@app.command()
def export(
    model: Annotated[Path, typer.Option(help="A run's folder, or the `model` in it.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the bundle.")],
    name: Annotated[str, typer.Option(help="The bundle's name in events.")],
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1",
    validation: Validation = None,
    canaries: Annotated[
        Path | None, typer.Option(help="Labelled file of texts that a loaded bundle must answer right.")
    ] = None,
    doubtful: Annotated[
        list[Path] | None,
        typer.Option(
            help="Texts that should be neutral, for a model that knows no neutral: they set the neutral share, beside --validation."
        ),
    ] = None,
    label: Label = None,
    max_tokens: OwnTokens = None,
    storage: Annotated[str, typer.Option(help="int8 (rows) or float16.")] = "int8",
    neutral_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="For kinds without a neutral label, or doubtful texts; 0.5."),
    ] = None,
    licence: Annotated[str, typer.Option()] = "unspecified",
) -> None:
    """Write a bundle for the worker. Validation files set the temperatures, for texts with Chinese characters and without."""
    from training.agreement import check_int8
    from training.calibrate import warnings_of
    from training.choices import one_of
    from training.evaluate import calibrate
    from training.export import ExportConfig, export_bundle
    from training.labels import lacking_kinds, parse_meanings
    from training.model import labels_in, trained_folder
    from training.runs import max_tokens_of, model_files, refuse_in_place, write_run
    from worker.errors import UsageError

    refuse_in_place(out, model)
    max_tokens = max_tokens_of(model, max_tokens)
    texts = given_once(validation, doubtful)
    known = [row for rows in load_sets([canaries], label).values() for row in rows] if canaries else []
    sets = load_sets(validation, label)
    found = calibrate(model, sets, load_rows(doubtful, labels=False), max_tokens=max_tokens)
    if neutral_share is not None and all(
        "neutral" in labels or kind in found.neutral
        for kind, labels in labels_in(trained_folder(model)).items()
    ):
        raise UsageError(
            "--neutral-share would do nothing: every kind has a neutral label, or doubtful texts that choose its share",
            hint="leave it out",
        )
    for warning in warnings_of(found.temperatures):
        typer.echo(warning, err=True)
    config = ExportConfig(
        name=name,
        version=version,
        max_tokens=max_tokens,
        storage=one_of("storage", storage, "int8", "float16"),
        temperatures=found.temperatures,
        neutral_share=0.5 if neutral_share is None else neutral_share,
        neutral_shares={kind: fitted["share"] for kind, fitted in found.neutral.items()},
        licence=licence,
        canaries=[(row.kind, row.text, str(row.label)) for row in known],
    )
    evaluation = {"neutral": found.neutral}
    manifest = export_bundle(model, out, config, evaluation=evaluation)
    # Exported twice: int8's answers must come from the stored weights, and the manifest must tell of them.
    if sets:
        checked = replace(config, int8=check_int8(out, sets))
        manifest = export_bundle(model, out, checked, evaluation=evaluation)
    write_run(
        out,
        stage="export",
        options={
            "model": model,
            "config": replace(config, canaries=()),  # somebody's texts; their file is among the inputs
            "labels": parse_meanings(label or []),
        },
        inputs=[
            *texts,
            *([canaries] if canaries else []),
            *model_files(model),
        ],
    )
    for kind, fitted in found.neutral.items():
        typer.echo(
            f"{kind}: neutral share {fitted['share']}; neutral are {100 * fitted['doubtful_called_neutral']:.1f} % of the "
            f"doubtful texts and {100 * fitted['polar_called_neutral']:.1f} % of the others"
        )
    if warning := lacking_kinds(manifest["kinds"]):
        typer.echo(warning, err=True)
    typer.echo(f"{manifest['name']} {manifest['version']} in {out}")


@app.command()
def unpack(
    bundle: Annotated[Path, typer.Argument(help="A bundle that `export` wrote, such as the shipped one.")],
    out: Annotated[
        Path,
        typer.Option(
            file_okay=False, help="Folder for the model: a --base, --teacher or --model of the others."
        ),
    ],
) -> None:
    """Write a bundle's model as a trained one, with float32 weights, to train it on or to teach with it."""
    from training.export import load_bundle
    from training.export import unpack as write_unpacked
    from training.runs import refuse_in_place

    refuse_in_place(out, bundle)
    loaded = load_bundle(bundle)
    write_unpacked(loaded, out)
    typer.echo(f"{loaded.manifest['name']} {loaded.manifest['version']} as a trained model in {out}")


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders of `evaluate`, or bundles.")],
    spread: Annotated[
        bool, typer.Option(help="Add mean and standard deviation: the folders are seeds of one recipe.")
    ] = False,
) -> None:
    """Print a table over runs: accuracy / macro-F1 / ECE of every set."""
    from training.compare import compare as table

    typer.echo(table(folders, spread=spread), nl=False)
