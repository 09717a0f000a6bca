"""Options that several commands of ``tagline train`` take, and the files that they name as rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.data import Row

SMALLEST_RATE = 1e-9
MOST_EPOCHS = 1_000_000
LARGEST_SEED = 2**32 - 1

Files = Annotated[
    list[Path], typer.Argument(help="JSONL, CSV or Parquet with text, label[, kind, category].")
]
Out = Annotated[
    Path,
    typer.Option(file_okay=False, help="Folder of the run. A killed run goes on when called again with it."),
]
SPLIT_OFF = 0.05
Share = Annotated[
    float | None,
    typer.Option(min=0, max=0.5, help=f"Share to split off where no ready file is given; {SPLIT_OFF}."),
]
Seed = Annotated[
    int, typer.Option(min=0, max=LARGEST_SEED, help="Decides order, dropout and the head's first weights.")
]
Epochs = Annotated[
    float, typer.Option(min=0.001, max=MOST_EPOCHS, help="Passes over the data; 2 to 4 for small encoders.")
]
Minutes = Annotated[
    float | None,
    typer.Option(min=0.01, help="Let the schedule end after this time even if the epochs are not done."),
]
Rate = Annotated[
    float,
    typer.Option(
        min=SMALLEST_RATE, help="Peak learning rate of AdamW: 2e-5 for base models, 1e-4 for small ones."
    ),
]
Tokens = Annotated[
    int,
    typer.Option(
        min=8,
        help="Longest text in tokens; longer ones keep head and tail. Every text is cut to 2,000 characters first.",
    ),
]
BatchTokens = Annotated[
    int, typer.Option(min=64, help="Padded tokens a batch; lower it when memory runs out.")
]
EvaluateEvery = Annotated[
    int | None, typer.Option(min=1, help="Steps between evaluations; a tenth of the run, at most 500.")
]
Precision = Annotated[str, typer.Option(help="auto (measured), float32 or bfloat16.")]
OwnTokens = Annotated[
    int | None,
    typer.Option(
        min=8,
        help="Longest text in tokens; as the run was trained, else 256. Not for bundles, which know theirs.",
    ),
]
Validation = Annotated[
    list[Path] | None, typer.Option(help="Validation file; repeatable. Its kinds are scored apart.")
]
Label = Annotated[
    list[str] | None,
    typer.Option(help="RAW=MEANING: what a label of the files means, as 5=positive; repeatable."),
]


def given_once(*options: list[Path] | None) -> list[Path]:
    """The files of all these options, in order: those to train on, and those that are held out from it.

    :raises UsageError: a file is given twice, by whatever path.
    """
    from worker.errors import UsageError

    files = [path for given in options for path in given or []]
    places = [path.resolve() for path in files]
    for path, place in zip(files, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(
                f"{path} is given twice",
                hint="leave it out once: a file is either trained on or held out, and each of its rows counts once",
            )
    return files


def share_of(split: str, ready: list[Path] | None, share: float | None, default: float) -> float:
    """The share to split off, where there are no ready files of that split.

    :raises UsageError: both are given.
    """
    from worker.errors import UsageError

    if ready and share is not None:
        raise UsageError(
            f"--{split}-share splits off a share, and --{split} gives ready files",
            hint="leave out one of the two",
        )
    return default if share is None else share


def load_rows(
    files: list[Path] | None,
    label: list[str] | None = None,
    *,
    labels: bool = True,
    labelled: bool = False,
) -> list["Row"]:
    """The rows of all files; ``label`` as :data:`Label` takes it, ``labels = False`` leaves the rows unlabelled.

    ``labelled``: every file must have rows with a label.
    """
    from training.data import read_rows
    from training.labels import parse_meanings
    from training.sets import check_labelled
    from worker.errors import UsageError

    meanings = parse_meanings(label or [])
    result: list[Row] = []
    for path in files or []:
        rows = read_rows(path, meanings=meanings, labels=labels)
        if not rows:
            raise UsageError(f"{path.name} has no rows", hint="leave it out, or give the file that you meant")
        if labelled:
            check_labelled(path, rows)
        result += rows
    return result


def load_labelled(files: list[Path], label: list[str] | None) -> list["Row"]:
    """The labelled rows of all files; how many have no label is told on standard error."""
    from training import processes

    rows = load_rows(files, label, labelled=True)
    labelled = [row for row in rows if row.label is not None]
    if len(labelled) < len(rows) and processes.rank() == 0:
        typer.echo(
            f"{len(rows) - len(labelled)} of {len(rows)} rows have no label and are left out", err=True
        )
    return labelled


def load_sets(files: list[Path] | None, label: list[str] | None = None) -> dict[str, list["Row"]]:
    """The labelled rows of the files as named sets of one kind."""
    from training.labels import parse_meanings
    from training.sets import labelled_sets

    return labelled_sets(files or [], parse_meanings(label or []))
