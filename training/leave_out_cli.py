"""``tagline train leave-out``: how a model reads of categories of goods that it was not trained on."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli_options import BatchTokens, Epochs, Label, Rate, Seed, Tokens, load_rows


def leave_out(
    file: Annotated[
        Path, typer.Argument(help="Labelled JSONL, CSV or Parquet of one kind, with a column `category`.")
    ],
    base: Annotated[str, typer.Option(help="Folder or hub name of a BERT encoder.")],
    out: Annotated[
        Path,
        typer.Option(
            file_okay=False, help="Folder for splits, runs and leave-out.md. Finished runs are kept."
        ),
    ],
    only: Annotated[
        list[str] | None, typer.Option(help="A category to leave out; repeatable. Default: each of them.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=10, help="Use at most so many rows of a category, drawn by the seed.")
    ] = None,
    label: Label = None,
    epochs: Epochs = 2.0,
    lr: Rate = 1e-4,
    layers: Annotated[str, typer.Option(help="Encoder layers to keep, as 1,3,5; empty keeps all.")] = "",
    max_tokens: Tokens = 128,
    batch_tokens: BatchTokens = 1024,
    seed: Seed = 0,
) -> None:
    """Train without each category and score on it, beside a model of as many rows that saw it; write one table."""
    from training.processes import check_alone
    from training.recipes.leave_out import leave_out as run
    from training.recipes.leave_out import render

    check_alone("leave-out")
    options = [
        "--base", base, "--epochs", str(epochs), "--lr", str(lr), "--layers", layers,
        "--max-tokens", str(max_tokens), "--batch-tokens", str(batch_tokens),
    ]  # fmt: skip
    labelled = load_rows([file], label, labelled=True)
    table = render(run(labelled, options, out, limit=rows, seed=seed, only=only or ()))
    (out / "leave-out.md").write_text(table, encoding="utf-8")
    typer.echo(table, nl=False)
