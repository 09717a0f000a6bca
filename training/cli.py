"""``tagline train``: the commands. Each parses its options, calls one function and prints what came out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.understanding_cli import app as understanding

if TYPE_CHECKING:
    from training.data import Row

app = typer.Typer(no_args_is_help=True, help="Train, distil, evaluate and export models.")
app.add_typer(understanding)

Files = Annotated[
    list[Path], typer.Argument(help="JSONL, CSV or Parquet with text, label[, kind, category].")
]
Out = Annotated[Path, typer.Option(help="Folder of the run. A killed run goes on when called again with it.")]
Seed = Annotated[int, typer.Option(help="Decides order, dropout and the head's first weights.")]
Epochs = Annotated[float, typer.Option(min=0.001, help="Passes over the data; 2 to 4 for small encoders.")]
Minutes = Annotated[
    float | None,
    typer.Option(min=0.01, help="Let the schedule end after this time even if the epochs are not done."),
]
Rate = Annotated[float, typer.Option(help="Peak learning rate: 2e-5 for base models, 1e-4 for small ones.")]
Tokens = Annotated[int, typer.Option(min=8, help="Longest text in tokens; longer ones keep head and tail.")]
BatchTokens = Annotated[
    int, typer.Option(min=64, help="Padded tokens a batch; lower it when memory runs out.")
]
Precision = Annotated[str, typer.Option(help="auto (measured), float32 or bfloat16.")]
OwnTokens = Annotated[
    int | None,
    typer.Option(
        min=8, help="Longest text in tokens; as the run was trained, else 256. Bundles know theirs."
    ),
]
Validation = Annotated[
    list[Path] | None, typer.Option(help="Validation file; repeatable. Its kinds are scored apart.")
]
Label = Annotated[
    list[str] | None,
    typer.Option(help="RAW=MEANING: what a label of the files means, as 5=positive; repeatable."),
]


def _load(files: list[Path] | None, label: list[str] | None = None, *, labels: bool = True) -> list["Row"]:
    from training.data import read_rows
    from training.labels import parse_meanings

    meanings = parse_meanings(label or [])
    return [row for path in files or [] for row in read_rows(path, meanings=meanings, labels=labels)]


def _sets(files: list[Path] | None, label: list[str] | None = None) -> dict[str, list["Row"]]:
    from training.labels import parse_meanings
    from training.sets import labelled_sets

    return labelled_sets(files or [], parse_meanings(label or []))


@app.command()
def prepare(
    files: Files,
    out: Annotated[Path, typer.Option(help="Folder for train, validation and test as .jsonl.gz.")],
    test: Annotated[
        list[Path] | None, typer.Option(help="Ready test file; repeatable. Else a share is split off.")
    ] = None,
    validation: Annotated[list[Path] | None, typer.Option(help="Ready validation file; repeatable.")] = None,
    validation_share: Annotated[float, typer.Option(min=0, max=0.5)] = 0.05,
    test_share: Annotated[float, typer.Option(min=0, max=0.5)] = 0.05,
    label: Label = None,
    seed: Seed = 0,
) -> None:
    """Deduplicate and split labelled files. A text of a test or validation split never stays in train."""
    from training.data import write_rows
    from training.prepare import prepare as split
    from training.runs import write_json

    prepared = split(
        _load(files, label),
        validation_share=validation_share,
        test_share=test_share,
        seed=seed,
        test_rows=_load(test, label),
        validation_rows=_load(validation, label),
    )
    for name, rows in prepared.splits.items():
        write_rows(out / f"{name}.jsonl.gz", rows)
    write_json(out / "counts.json", prepared.counts)
    for name, count in prepared.counts.items():
        typer.echo(f"{name}: {count}")


@app.command()
def pretrain(
    files: Files,
    base: Annotated[str, typer.Option(help="Folder or hub name of a BERT encoder.")],
    out: Out,
    epochs: Epochs = 1.0,
    minutes: Minutes = None,
    lr: Rate = 1e-4,
    max_tokens: Tokens = 128,
    batch_tokens: BatchTokens = 2048,
    seed: Seed = 0,
) -> None:
    """Go on pre-training an encoder on unlabelled text of the domain (masked-language modelling)."""
    from training.pretrain import pretrain as run
    from training.trainer import TrainConfig

    rows = _load(files, labels=False)
    config = TrainConfig(
        epochs=epochs, budget_minutes=minutes, lr=lr, tokens_per_batch=batch_tokens, seed=seed
    )
    state = run(base, rows, out, config, max_tokens=max_tokens, inputs=files)
    typer.echo(f"{state.step} steps; the encoder is in {out / 'model'}")


@app.command()
def finetune(
    files: Files,
    base: Annotated[str, typer.Option(help="Folder or hub name of a BERT encoder.")],
    out: Out,
    validation: Validation = None,
    label: Label = None,
    epochs: Epochs = 2.0,
    minutes: Minutes = None,
    lr: Rate = 1e-4,
    optimiser: Annotated[str, typer.Option(help="adamw, sgd or adafactor.")] = "adamw",
    schedule: Annotated[str, typer.Option(help="linear or cosine.")] = "linear",
    warmup_share: Annotated[float, typer.Option(min=0, max=1)] = 0.06,
    weight_decay: Annotated[float, typer.Option(min=0)] = 0.01,
    layer_decay: Annotated[
        float, typer.Option(help="Factor of the rate a layer downwards; 1 for none.")
    ] = 1.0,
    dropout: Annotated[float, typer.Option(min=0, max=0.9)] = 0.0,
    label_smoothing: Annotated[float, typer.Option(min=0, max=0.5)] = 0.0,
    method: Annotated[
        str, typer.Option(help="full, or few weights: lora, adalora, adapters, prefix.")
    ] = "full",
    rank: Annotated[int, typer.Option(min=1, help="Rank of lora and adalora.")] = 8,
    adversarial: Annotated[
        str, typer.Option(help="none, fgm (twice the time) or pgd (four times).")
    ] = "none",
    r_drop: Annotated[
        float, typer.Option(min=0, help="Weight of R-Drop, 1 to 5; 0 off. Needs --dropout.")
    ] = 0.0,
    augment: Annotated[int, typer.Option(min=0, help="Changed copies of every row.")] = 0,
    freezing: Annotated[str, typer.Option(help="none, head, top or gradual.")] = "none",
    top_layers: Annotated[int, typer.Option(help="With --freezing top: layers that train.")] = 0,
    layers: Annotated[str, typer.Option(help="Encoder layers to keep, as 1,3,5; empty keeps all.")] = "",
    accumulate: Annotated[int, typer.Option(min=1, help="Batches a step.")] = 1,
    average_decay: Annotated[
        float, typer.Option(min=0, max=0.9999, help="Decay of the weights' average; 0 off.")
    ] = 0.0,
    metric: Annotated[
        str, typer.Option(help="What early stopping and the best checkpoint look at.")
    ] = "accuracy",
    patience: Annotated[
        int, typer.Option(help="Evaluations without gain before stopping; 0 never stops early.")
    ] = 0,
    evaluate_every: Annotated[int, typer.Option(min=1, help="Steps between evaluations.")] = 500,
    max_tokens: Tokens = 256,
    batch_tokens: BatchTokens = 2048,
    precision: Precision = "auto",
    seed: Seed = 0,
) -> None:
    """Fine-tune a classifier on labelled files. Run it under torchrun for several processes."""
    from training.choices import one_of
    from training.data import labels_by_kind
    from training.efficient.methods import METHODS, EfficientConfig
    from training.finetune import FinetuneConfig
    from training.finetune import finetune as run
    from training.labels import check_servable, parse_meanings
    from training.options import RecipeConfig
    from training.prepare import check_no_leak
    from training.runs import remember_max_tokens
    from training.sets import labelled_rows
    from training.trainer import TrainConfig

    meanings = parse_meanings(label or [])
    rows = [row for path in files for row in labelled_rows(path, meanings)]
    check_servable(labels_by_kind(rows))
    sets = _sets(validation, label)
    check_no_leak({"train": rows, "validation": [row for part in sets.values() for row in part]})
    config = FinetuneConfig(
        train=TrainConfig(
            epochs=epochs,
            budget_minutes=minutes,
            lr=lr,
            optimiser=one_of("optimiser", optimiser, "adamw", "sgd", "adafactor"),
            schedule=one_of("schedule", schedule, "linear", "cosine"),
            warmup_share=warmup_share,
            weight_decay=weight_decay,
            layer_decay=layer_decay,
            tokens_per_batch=batch_tokens,
            accumulate=accumulate,
            precision=one_of("precision", precision, "auto", "float32", "bfloat16"),
            average_decay=average_decay,
            seed=seed,
            evaluate_every_steps=evaluate_every,
            patience=patience,
        ),
        max_tokens=max_tokens,
        layers=_layer_list(layers),
        dropout=dropout,
        recipe=RecipeConfig(
            efficient=None
            if method == "full"
            else EfficientConfig(method=one_of("method", method, *METHODS), rank=rank),
            adversarial=one_of("adversarial", adversarial, "none", "fgm", "pgd"),
            r_drop=r_drop,
            augment_copies=augment,
            label_smoothing=label_smoothing,
        ),
        freezing=one_of("freezing", freezing, "none", "head", "top", "gradual"),
        top_layers=top_layers,
        metric=one_of("metric", metric, "accuracy", "macro_f1"),
    )
    state = run(base, rows, sets, out, config, inputs=[*files, *(validation or [])])
    remember_max_tokens(out / "model", max_tokens)
    typer.echo(
        f"{state.step} steps, best {state.best_metric:.4f} at step {state.best_step}; model in {out / 'model'}"
    )


@app.command()
def distil(
    files: Files,
    teacher: Annotated[Path, typer.Option(help="The `model` folder of a fine-tuning run.")],
    layers: Annotated[
        str, typer.Option(help="The teacher's layers that the student starts from, as 1,3,5,7,9,11.")
    ],
    out: Out,
    validation: Validation = None,
    label: Label = None,
    temperature: Annotated[float, typer.Option(min=0.1)] = 2.0,
    teacher_share: Annotated[
        float, typer.Option(min=0, max=1, help="Weight of the teacher on labelled texts.")
    ] = 0.8,
    hidden_weight: Annotated[float, typer.Option(min=0, help="Weight of the layers' hidden states.")] = 1.0,
    hidden_epochs: Annotated[
        int | None, typer.Option(min=0, help="Epochs that compare hidden states; later ones cost half. All.")
    ] = None,
    epochs: Epochs = 2.0,
    minutes: Minutes = None,
    lr: Rate = 1.5e-4,
    average_decay: Annotated[float, typer.Option(min=0, max=0.9999)] = 0.0,
    evaluate_every: Annotated[int, typer.Option(min=1)] = 500,
    max_tokens: Tokens = 256,
    batch_tokens: BatchTokens = 2048,
    seed: Seed = 0,
) -> None:
    """Teach a smaller student on labelled and unlabelled files."""
    from training.distil import DistilConfig
    from training.distil import distil as run
    from training.finetune import FinetuneConfig
    from training.prepare import check_no_leak
    from training.runs import remember_max_tokens
    from training.trainer import TrainConfig

    rows = _load(files, label)
    sets = _sets(validation, label)
    check_no_leak({"train": rows, "validation": [row for part in sets.values() for row in part]})
    train = TrainConfig(
        epochs=epochs,
        budget_minutes=minutes,
        lr=lr,
        average_decay=average_decay,
        tokens_per_batch=batch_tokens,
        seed=seed,
        evaluate_every_steps=evaluate_every,
    )
    config = DistilConfig(
        finetune=FinetuneConfig(train=train, max_tokens=max_tokens, layers=_layer_list(layers)),
        temperature=temperature,
        teacher_share=teacher_share,
        hidden_weight=hidden_weight,
        hidden_epochs=hidden_epochs,
    )
    state = run(teacher, rows, sets, out, config, inputs=[*files, *(validation or [])])
    remember_max_tokens(out / "model", max_tokens)
    typer.echo(
        f"{state.step} steps, best {state.best_metric:.4f} at step {state.best_step}; model in {out / 'model'}"
    )


@app.command()
def evaluate(
    files: Files,
    model: Annotated[Path, typer.Option(help="A bundle, or the `model` folder of a run.")],
    out: Annotated[Path, typer.Option(help="Folder for scores.json.")],
    train: Annotated[
        Path | None, typer.Option(help="Training file: adds the TF-IDF + LR row, refuses leaks.")
    ] = None,
    label: Label = None,
    max_tokens: OwnTokens = None,
) -> None:
    """Score a model on labelled files: accuracy, macro-F1, ECE, per class and category, beside the baselines."""
    from training.compare import compare as table
    from training.evaluate import evaluate_folder, linear_rows
    from training.prepare import check_no_leak
    from training.runs import max_tokens_of, write_json, write_run

    sets = _sets(files, label)
    trained_on = _load([train], label) if train else []
    for name, rows in sets.items():
        check_no_leak({"--train": trained_on, name: rows})
    max_tokens = max_tokens_of(model, max_tokens)
    scores = evaluate_folder(model, sets, max_tokens=max_tokens)
    if train:
        for name, value in linear_rows(trained_on, sets).items():
            scores[name]["linear"] = value
    weights = sorted(path for path in model.iterdir() if path.suffix in (".json", ".safetensors"))
    write_run(
        out,
        stage="evaluate",
        options={"model": model, "max_tokens": max_tokens},
        inputs=[*files, *([train] if train else []), *weights],
    )
    write_json(out / "scores.json", {"sets": scores})
    typer.echo(table([out]), nl=False)


@app.command()
def quantise(
    model: Annotated[Path, typer.Option(help="The `model` folder of a run.")],
    out: Annotated[Path, typer.Option(help="Folder for the model with int8-rounded weights, as float32.")],
) -> None:
    """Round every matrix to int8 rows, to score what a bundle would hold before it is exported."""
    from training.quantise import quantise_folder
    from training.runs import max_tokens_of, remember_max_tokens

    error = quantise_folder(model, out)
    remember_max_tokens(out, max_tokens_of(model, None))
    typer.echo(f"mean relative error of a matrix {error:.4f}; model in {out}")


@app.command()
def forms(
    test: Annotated[Path, typer.Argument(help="Labelled file of one kind to score on.")],
    model: Annotated[Path, typer.Option(help="The `model` folder of a run.")],
    calibration: Annotated[
        Path, typer.Option(help="Texts that set the ranges of static int8; not the test.")
    ],
    calibration_rows: Annotated[int, typer.Option(min=1, help="So many of them.")] = 500,
    max_tokens: Tokens = 256,
) -> None:
    """Compare the forms of one model: float32, float16, int8 rows, bfloat16, static int8."""
    from training.forms import measure_forms, render
    from training.prepare import check_no_leak
    from training.sets import kind_of, labelled_rows

    rows = labelled_rows(test)
    kind_of(rows)
    texts = _load([calibration], labels=False)[:calibration_rows]
    check_no_leak({"calibration": texts, "test": rows})
    typer.echo(render(measure_forms(model, rows, texts, max_tokens=max_tokens)), nl=False)


@app.command()
def export(
    model: Annotated[Path, typer.Option(help="The `model` folder of a run.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    name: Annotated[str, typer.Option(help="The bundle's name in events.")],
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1",
    validation: Validation = None,
    canaries: Annotated[
        Path | None, typer.Option(help="Labelled file of texts that a loaded bundle must answer right.")
    ] = None,
    doubtful: Annotated[
        list[Path] | None,
        typer.Option(help="Texts that should be neutral: they set the neutral share, beside --validation."),
    ] = None,
    label: Label = None,
    max_tokens: OwnTokens = None,
    storage: Annotated[str, typer.Option(help="int8 (rows) or float16.")] = "int8",
    neutral_share: Annotated[
        float, typer.Option(min=0, max=1, help="For kinds without a neutral label, or doubtful texts.")
    ] = 0.5,
    licence: Annotated[str, typer.Option()] = "unspecified",
) -> None:
    """Write a bundle that the worker loads. Validation files set the temperatures."""
    from training.choices import one_of
    from training.evaluate import calibrate
    from training.export import ExportConfig, export_bundle
    from training.runs import max_tokens_of

    max_tokens = max_tokens_of(model, max_tokens)
    known = [row for rows in _sets([canaries], label).values() for row in rows] if canaries else []
    found = calibrate(model, _sets(validation, label), _load(doubtful, labels=False), max_tokens=max_tokens)
    config = ExportConfig(
        name=name,
        version=version,
        max_tokens=max_tokens,
        storage=one_of("storage", storage, "int8", "float16"),
        temperatures=found.temperatures,
        neutral_share=neutral_share,
        neutral_shares={kind: fitted["share"] for kind, fitted in found.neutral.items()},
        licence=licence,
        canaries=[(row.kind, row.text, str(row.label)) for row in known],
    )
    manifest = export_bundle(model, out, config, evaluation={"neutral": found.neutral})
    for kind, fitted in found.neutral.items():
        typer.echo(
            f"{kind}: neutral share {fitted['share']}; neutral are {100 * fitted['doubtful_called_neutral']:.1f} % of the "
            f"doubtful texts and {100 * fitted['polar_called_neutral']:.1f} % of the others"
        )
    typer.echo(f"{manifest['name']} {manifest['version']} in {out}")


@app.command()
def recipes(
    files: Files,
    test: Annotated[Path, typer.Option(help="Labelled file of one kind that every run is scored on, once.")],
    base: Annotated[str, typer.Option(help="Folder or hub name of a BERT encoder.")],
    out: Annotated[Path, typer.Option(help="Folder for the runs and recipes.md. Finished runs are kept.")],
    only: Annotated[list[str] | None, typer.Option(help="A recipe's name; repeatable. Default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every recipe, seeds 0, 1, ...")] = 3,
    epochs: Epochs = 2.0,
    lr: Rate = 1e-4,
    layers: Annotated[str, typer.Option(help="Encoder layers to keep, as 1,3,5; empty keeps all.")] = "",
    max_tokens: Tokens = 128,
    batch_tokens: BatchTokens = 1024,
) -> None:
    """Train every recipe under several seeds and write one table: accuracy, parameters, time, memory."""
    from training.recipes.table import PLAIN, RECIPES, ensembles, render, run_recipes
    from training.sets import kind_of, labelled_rows

    tested = labelled_rows(test)
    kind_of(tested)
    common = [
        *map(str, files), "--base", base, "--epochs", str(epochs), "--lr", str(lr), "--layers", layers,
        "--max-tokens", str(max_tokens), "--batch-tokens", str(batch_tokens),
    ]  # fmt: skip
    names = only or list(RECIPES)
    lines = run_recipes(names, common, test, out, seeds=seeds)
    if PLAIN in names and seeds > 1:
        lines += ensembles(out, tested, seeds=seeds, max_tokens=max_tokens)
    table = render(lines)
    (out / "recipes.md").write_text(table, encoding="utf-8")
    typer.echo(table, nl=False)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders of `evaluate`, or bundles.")],
) -> None:
    """Print a table over runs: accuracy / macro-F1 / ECE of every set."""
    from training.compare import compare as table

    typer.echo(table(folders), nl=False)


@app.command()
def reproduce(
    data: Annotated[Path, typer.Option(help="Folder with the public sets that the model card names.")],
    base: Annotated[str, typer.Option(help="Folder or hub name of the base checkpoint.")],
    out: Out,
    bundle: Annotated[Path, typer.Option(help="Folder for the bundle.")],
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "reproduced",
) -> None:
    """Rebuild the shipped bundle, stage by stage. Hours on a CPU; finished stages are skipped."""
    from training.compare import compare as table
    from training.recipes.shipped import BundleConfig, ShippedConfig
    from training.recipes.shipped import reproduce as run

    run(data, base, out, bundle, ShippedConfig(bundle=BundleConfig(version=version)))
    typer.echo(table([bundle]), nl=False)


def _layer_list(text: str) -> tuple[int, ...] | None:
    from worker.errors import UsageError

    try:
        return tuple(int(part) for part in text.split(",")) if text else None
    except ValueError as error:
        raise UsageError(f"--layers takes numbers with commas, not {text!r}") from error
