"""``tagline train report | robustness | attribute | titles``: what a model is worth, and why it answers as it does."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.cli_options import OwnTokens, Tokens, given_once

if TYPE_CHECKING:
    from training.data import Row

app = typer.Typer()

Models = Annotated[list[Path], typer.Argument(help="Bundles, or folders of runs.")]
Model = Annotated[Path, typer.Argument(help="A bundle, or the folder of a run.")]
Sets = Annotated[list[Path], typer.Option(help="Labelled file; repeatable. Its kinds are scored apart.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Score at most this many rows of a set, drawn by a fixed seed.")
]


def _read(files: list[Path], limit: int | None) -> dict[str, list["Row"]]:
    import random

    from training.sets import labelled_sets

    every = labelled_sets(files)
    sets = {}
    for name, rows in every.items():
        short = name.removeprefix("test_")
        chosen = rows if limit is None or len(rows) <= limit else random.Random(0).sample(rows, limit)
        sets[name if short in every else short] = chosen
    return sets


def _parts(options: list[str]) -> dict[str, str]:
    from worker.errors import UsageError

    parts = {}
    for option in options:
        name, equals, category = option.partition("=")
        if not equals:
            raise UsageError(f"--clean {option}: not SET=CATEGORY", hint="as in --clean chn=clean")
        parts[name] = category
    return parts


@app.command()
def report(
    models: Models,
    sets: Sets,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for report.md and its plots.")],
    train: Annotated[
        list[Path] | None,
        typer.Option(
            help="Training file; repeatable. Adds the TF-IDF + LR row, and shows test rows that it holds apart."
        ),
    ] = None,
    linear: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="JSON of set to TF-IDF + LR accuracy, where it was measured already.",
        ),
    ] = None,
    clean: Annotated[
        list[str] | None,
        typer.Option(help="SET=CATEGORY: show that category as a set of its own; repeatable."),
    ] = None,
    seeds: Annotated[bool, typer.Option(help="The models are one recipe under several seeds.")] = False,
    max_tokens: OwnTokens = None,
    limit: Limit = None,
) -> None:
    """Write a Markdown report with plots: accuracy, F1, calibration, confusion, categories, baselines, size, speed."""
    from training.data import read_rows
    from training.report import figures
    from training.report.measure import linear_accuracies, measure, split_contaminated, with_category_sets
    from training.report.page import render
    from training.runs import machine, read_json
    from training.scorer import open_scorers

    every = with_category_sets(_read(sets, limit), _parts(clean or []))
    trained_on = [row for path in given_once(train) for row in read_rows(path)]
    own, contaminated = split_contaminated(every, trained_on)
    baseline = dict(read_json(linear)) if linear else {}
    if train:
        missing = {name: rows for name, rows in own.items() if name not in baseline}
        baseline |= linear_accuracies(trained_on, missing) if missing else {}
    results = [
        measure(scorer, own, contaminated=contaminated, linear=baseline)
        for scorer in open_scorers(models, max_tokens=max_tokens)
    ]
    names = {"accuracy": "accuracy.png", "reliability": "reliability.png", "confusion": "confusion.png"}
    figures.accuracy_plot(results, out / names["accuracy"])
    figures.reliability_plot(results[0].sets, out / names["reliability"])
    figures.confusion_plot(results[0].sets, out / names["confusion"])
    options = [f"--sets {path.name}" for path in sets] + [f"--clean {part}" for part in clean or []]
    options += [f"--train {path.name}" for path in train or []]
    options += [f"--limit {limit}"] if limit else []
    command = " ".join(["tagline train report", *(folder.name for folder in models), *options])
    page = render(results, command=command, machine=machine(), figures=names, seeds=seeds)
    (out / "report.md").write_text(page, encoding="utf-8")
    typer.echo(f"{out / 'report.md'}: {len(results)} models, {len(results[0].sets)} sets")


@app.command()
def robustness(
    model: Model,
    sets: Sets,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File for the tables as well; always printed.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which letters change.")] = 0,
    max_tokens: OwnTokens = None,
    limit: Limit = 500,
) -> None:
    """Score texts written otherwise (typos, look-alikes, emoji, other brands) and pairs that a negation sets apart."""
    from training.robustness.table import (
        render_contrasts,
        render_perturbations,
        score_contrasts,
        score_perturbations,
    )
    from training.runs import refuse_in_place
    from training.scorer import open_scorer

    if out:
        refuse_in_place(out, model, *sets)
    scorer = open_scorer(model, max_tokens=max_tokens)
    found = {name: score_perturbations(scorer, rows, seed=seed) for name, rows in _read(sets, limit).items()}
    text = render_perturbations(found)
    if "review" in scorer.labels:
        text += "\n" + render_contrasts(score_contrasts(scorer))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    typer.echo(text, nl=False)


@app.command()
def attribute(
    model: Model,
    texts: Annotated[list[str], typer.Argument(help="Texts to explain.")],
    kind: Annotated[str, typer.Option(help="Kind of the texts: review or title.")] = "review",
    steps: Annotated[int, typer.Option(min=2, help="Points on the path: more is slower and nearer.")] = 256,
    max_tokens: OwnTokens = None,
) -> None:
    """Show which pieces of a text spoke for and against its label (integrated gradients)."""
    from training.attributions import attribute_folder, render

    found = attribute_folder(model, [(kind, text) for text in texts], max_tokens=max_tokens, steps=steps)
    typer.echo(render(found), nl=False)


@app.command()
def titles(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of titles: how many of them the functions cover, and by which tones."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A bundle or run to score as well.")] = None,
    max_tokens: OwnTokens = None,
) -> None:
    """Score the labelling functions, and a model if given, on the titles that were labelled by hand."""
    from training.data import read_rows
    from training.names import distinct_names
    from training.titles.functions import render_coverage
    from training.titles.functions import report as coverage
    from training.titles.labelled import labelled_titles
    from training.titles.model_scores import render_model, score_model
    from training.titles.scores import render, score_all
    from worker.errors import UsageError

    if max_tokens is not None and model is None:
        raise UsageError(
            "--max-tokens is for a model, and none is given", hint="add --model, or leave it out"
        )
    every = {
        name: coverage(row.text for row in read_rows(path, kind="title", labels=False) if row.kind == "title")
        for name, path in zip(distinct_names(files or []), files or [], strict=True)
    }
    typer.echo(render(score_all()), nl=False)
    if every:
        typer.echo("\n" + render_coverage(every), nl=False)
    if model:
        from training.scorer import open_scorer

        scorer = open_scorer(model, max_tokens=max_tokens)
        typer.echo("\n" + render_model(scorer.name, score_model(scorer, labelled_titles())), nl=False)


@app.command("refit-titles")
def refit_titles(
    files: Annotated[list[Path], typer.Argument(help="Files of titles; a `label` in them is not looked at.")],
    model: Annotated[Path, typer.Option(help="A run's folder, or the `model` in it.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the model with new title columns.")],
    written: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the titles to copy with a phrase written in.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Decides which titles and phrases.")] = 0,
    limit: Annotated[int, typer.Option(min=3, help="At most this many titles, half of them copies.")] = 8_000,
    max_tokens: Tokens = 96,
) -> None:
    """Learn a model's title columns anew from the labelling functions; its answers to reviews stay to the bit."""
    from training.data import read_rows
    from training.runs import refuse_in_place
    from training.titles.refit import labelled_by_functions
    from training.titles.refit import refit_titles as run

    refuse_in_place(out, model)
    rows = [
        row
        for path in given_once(files)
        for row in read_rows(path, kind="title", labels=False)
        if row.kind == "title"
    ]
    chosen = labelled_by_functions(rows, share=written, limit=limit, seed=seed)
    reached = run(model, chosen, out, max_tokens=max_tokens)
    typer.echo(
        f"{len(chosen)} titles, {100 * reached:.1f} % of them answered as the functions do; model in {out}"
    )
