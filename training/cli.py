"""``tagline train``: the commands that make data and models. Each parses its options, calls a function, prints what came out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.bundle_cli import bundle
from training.cli_options import (
    SMALLEST_RATE,
    BatchTokens,
    Epochs,
    EvaluateEvery,
    Files,
    Label,
    Minutes,
    Out,
    Precision,
    Rate,
    Seed,
    Tokens,
    Validation,
    given_once,
    load_labelled,
    load_rows,
    load_sets,
)
from training.leave_out_cli import leave_out
from training.prepare_cli import prepare
from training.scoring_cli import app as scoring
from training.understanding_cli import app as understanding

if TYPE_CHECKING:
    from training.efficient.methods import EfficientConfig
    from training.trainer import State

app = typer.Typer(no_args_is_help=True, help="Train, distil, evaluate and export models.")
app.command()(bundle)
app.command()(prepare)
app.command("leave-out")(leave_out)
app.add_typer(scoring)
app.add_typer(understanding)


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
    from training.runs import refuse_in_place
    from training.train_config import TrainConfig

    refuse_in_place(out, Path(base))
    inputs = given_once(files)
    rows = load_rows(files, labels=False)
    config = TrainConfig(
        epochs=epochs, budget_minutes=minutes, lr=lr, tokens_per_batch=batch_tokens, seed=seed
    )
    state = run(base, rows, out, config, max_tokens=max_tokens, inputs=inputs)
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
    lr: Annotated[
        float | None,
        typer.Option(
            min=SMALLEST_RATE,
            help="Peak learning rate; adamw 1e-4 (2e-5 for base models), adafactor 1e-3, sgd 0.02.",
        ),
    ] = None,
    optimiser: Annotated[str, typer.Option(help="adamw, sgd or adafactor.")] = "adamw",
    schedule: Annotated[str, typer.Option(help="linear or cosine.")] = "linear",
    warmup_share: Annotated[float, typer.Option(min=0, max=1)] = 0.06,
    weight_decay: Annotated[float, typer.Option(min=0)] = 0.01,
    layer_decay: Annotated[
        float, typer.Option(min=0.01, max=1, help="Factor of the rate a layer downwards; 1 for none.")
    ] = 1.0,
    clip_norm: Annotated[float, typer.Option(min=0.001, help="Longest gradient of a step.")] = 1.0,
    dropout: Annotated[float, typer.Option(min=0, max=0.9, help="In the encoder.")] = 0.0,
    head_dropout: Annotated[float, typer.Option(min=0, max=0.9, help="Of what the head reads.")] = 0.1,
    label_smoothing: Annotated[float, typer.Option(min=0, max=0.5)] = 0.0,
    method: Annotated[
        str, typer.Option(help="full, or few weights: lora, adalora, adapters, prefix.")
    ] = "full",
    rank: Annotated[int | None, typer.Option(min=1, help="Rank of lora and adalora; else 8.")] = None,
    adversarial: Annotated[
        str, typer.Option(help="none, fgm (twice the time) or pgd (four times).")
    ] = "none",
    r_drop: Annotated[
        float, typer.Option(min=0, help="Weight of R-Drop, 1 to 5; 0 off. Needs --dropout.")
    ] = 0.0,
    augment: Annotated[int, typer.Option(min=0, help="Changed copies of every row.")] = 0,
    back_translate: Annotated[
        str, typer.Option(help="MODULE:FUNCTION, text to text: with --augment, one more copy of every row.")
    ] = "",
    freezing: Annotated[str, typer.Option(help="none, head, top or gradual.")] = "none",
    top_layers: Annotated[int, typer.Option(min=0, help="With --freezing top: layers that train.")] = 0,
    layers: Annotated[str, typer.Option(help="Encoder layers to keep, as 1,3,5; empty keeps all.")] = "",
    accumulate: Annotated[int, typer.Option(min=1, help="Batches a step.")] = 1,
    average_decay: Annotated[
        float, typer.Option(min=0, max=0.9999, help="Decay of the weights' average; 0 off.")
    ] = 0.0,
    metric: Annotated[
        str, typer.Option(help="What early stopping and the best checkpoint look at.")
    ] = "accuracy",
    patience: Annotated[
        int, typer.Option(min=0, help="Evaluations without gain before stopping; 0 never stops early.")
    ] = 0,
    evaluate_every: EvaluateEvery = None,
    max_tokens: Tokens = 256,
    batch_tokens: BatchTokens = 2048,
    precision: Precision = "auto",
    seed: Seed = 0,
) -> None:
    """Fine-tune a classifier on labelled files. Run it under torchrun for several processes."""
    from training import processes
    from training.choices import one_of
    from training.data import labels_by_kind
    from training.finetune import FinetuneConfig
    from training.finetune import finetune as run
    from training.labels import check_servable, lacking_kinds, parse_meanings
    from training.model import base_files, labels_in
    from training.optim import RATES
    from training.options import RecipeConfig
    from training.prepare import check_no_leak
    from training.runs import refuse_in_place
    from training.train_config import TrainConfig

    refuse_in_place(out, Path(base))
    chosen = one_of("optimiser", optimiser, *RATES)
    meanings = parse_meanings(label or [])
    inputs = given_once(files, validation)
    rows = load_labelled(files, label)
    check_servable(labels_by_kind(rows))
    sets = load_sets(validation, label)
    check_no_leak({"train": rows, "validation": [row for part in sets.values() for row in part]})
    config = FinetuneConfig(
        train=TrainConfig(
            epochs=epochs,
            budget_minutes=minutes,
            lr=RATES[chosen] if lr is None else lr,
            optimiser=chosen,
            schedule=one_of("schedule", schedule, "linear", "cosine"),
            warmup_share=warmup_share,
            weight_decay=weight_decay,
            layer_decay=layer_decay,
            clip_norm=clip_norm,
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
        head_dropout=head_dropout,
        recipe=RecipeConfig(
            efficient=_efficient(method, rank),
            adversarial=one_of("adversarial", adversarial, "none", "fgm", "pgd"),
            r_drop=r_drop,
            augment_copies=augment,
            back_translate=back_translate,
            label_smoothing=label_smoothing,
        ),
        freezing=one_of("freezing", freezing, "none", "head", "top", "gradual"),
        top_layers=top_layers,
        metric=one_of("metric", metric, "accuracy", "macro_f1"),
    )
    # Now, and not only at the export: hours lie between them. A base that was trained here adds the kinds that it knows.
    if processes.rank() == 0 and (
        warning := lacking_kinds(labels_by_kind(rows, labels_in(base_files(base))))
    ):
        typer.echo(warning, err=True)
    state = run(base, rows, sets, out, config, inputs=inputs, meanings=meanings)
    _tell_end(state, out)


@app.command()
def distil(
    files: Files,
    teacher: Annotated[
        list[Path],
        typer.Option(
            help="The folder of a fine-tuning run, or its model. Given again: they answer together, as their mean."
        ),
    ],
    layers: Annotated[
        str, typer.Option(help="The (first) teacher's layers that the student starts from, as 1,3,5,7,9,11.")
    ],
    out: Out,
    validation: Validation = None,
    label: Label = None,
    temperature: Annotated[float, typer.Option(min=0.1)] = 2.0,
    teacher_share: Annotated[
        float, typer.Option(min=0, max=1, help="Weight of the teacher on labelled texts.")
    ] = 0.5,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            help="A source of texts (column `source`, else the file's name) where only the label counts. Repeatable."
        ),
    ] = None,
    hidden_weight: Annotated[float, typer.Option(min=0, help="Weight of the layers' hidden states.")] = 1.0,
    hidden_epochs: Annotated[
        int | None, typer.Option(min=0, help="Epochs that compare hidden states; later ones cost half. All.")
    ] = None,
    epochs: Epochs = 2.0,
    minutes: Minutes = None,
    lr: Rate = 1.5e-4,
    average_decay: Annotated[float, typer.Option(min=0, max=0.9999)] = 0.0,
    evaluate_every: EvaluateEvery = None,
    max_tokens: Tokens = 256,
    batch_tokens: BatchTokens = 2048,
    seed: Seed = 0,
) -> None:
    """Teach a smaller student on labelled and unlabelled files."""
    from training.distil import DistilConfig
    from training.distil import distil as run
    from training.finetune import FinetuneConfig
    from training.labels import parse_meanings
    from training.prepare import check_no_leak
    from training.runs import refuse_in_place
    from training.train_config import TrainConfig

    refuse_in_place(out, *teacher)
    inputs = given_once(files, validation)
    rows = load_rows(files, label)
    sets = load_sets(validation, label)
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
        finetune=FinetuneConfig(
            train=train, max_tokens=max_tokens, layers=_layer_list(layers), head_dropout=0.0
        ),
        temperature=temperature,
        teacher_share=teacher_share,
        trusted=tuple(trust or ()),
        hidden_weight=hidden_weight,
        hidden_epochs=hidden_epochs,
    )
    state = run(teacher, rows, sets, out, config, inputs=inputs, meanings=parse_meanings(label or []))
    _tell_end(state, out)


@app.command()
def recipes(
    files: Files,
    test: Annotated[Path, typer.Option(help="Labelled file of one kind that every run is scored on, once.")],
    base: Annotated[str, typer.Option(help="Folder or hub name of a BERT encoder.")],
    out: Annotated[
        Path,
        typer.Option(file_okay=False, help="Folder for the runs and recipes.md. Finished runs are kept."),
    ],
    only: Annotated[list[str] | None, typer.Option(help="A recipe's name; repeatable. Default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of every recipe, seeds 0, 1, ...")] = 3,
    epochs: Epochs = 2.0,
    lr: Rate = 1e-4,
    layers: Annotated[str, typer.Option(help="Encoder layers to keep, as 1,3,5; empty keeps all.")] = "",
    max_tokens: Tokens = 128,
    batch_tokens: BatchTokens = 1024,
) -> None:
    """Train every recipe under several seeds and write one table: accuracy, parameters, time, memory."""
    from training.processes import check_alone
    from training.recipes.table import PLAIN, RECIPES, ensembles, render, run_recipes
    from training.sets import kind_of, labelled_rows

    check_alone("recipes")
    given_once(files, [test])
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
def reproduce(
    data: Annotated[Path, typer.Option(help="Folder with the public sets that the model card names.")],
    base: Annotated[str, typer.Option(help="Folder or hub name of the base checkpoint.")],
    out: Out,
    bundle: Annotated[Path, typer.Option(file_okay=False, help="Folder for the bundle.")],
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "reproduced",
    seed: Annotated[
        int,
        typer.Option(min=0, help="The teacher's; the student has the next one. The shipped bundle has 1."),
    ] = 1,
    share: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1,
            help="Of the recipe's epochs. Below 1 it is a rehearsal: 0.05 takes half an hour.",
        ),
    ] = 1.0,
) -> None:
    """Make a bundle like the shipped one from the public sets and a base. Hours on a CPU; what is finished is kept."""
    from training.compare import compare as table
    from training.processes import check_alone
    from training.recipes.shipped import BundleConfig, ShippedConfig
    from training.recipes.shipped import reproduce as run

    check_alone("reproduce")
    config = ShippedConfig(bundle=BundleConfig(version=version)).seeded(seed).rehearsed(share)
    run(data, base, out, bundle, config)
    typer.echo(table([bundle]), nl=False)


def _efficient(method: str, rank: int | None) -> "EfficientConfig | None":
    from training.choices import one_of
    from training.efficient.methods import METHODS, EfficientConfig
    from worker.errors import UsageError

    chosen = None if method == "full" else one_of("method", method, *METHODS)
    if rank is not None and chosen not in ("lora", "adalora"):
        raise UsageError("--rank is for --method lora and adalora: the others have none", hint="leave it out")
    if chosen is None:
        return None
    return EfficientConfig(chosen) if rank is None else EfficientConfig(chosen, rank)


def _tell_end(state: "State", out: Path) -> None:
    """Print the best step where there were validation files, and what was written; the process that wrote it does."""
    from training.processes import rank

    if rank() != 0:
        return
    best = f", best {state.best_metric:.4f} at step {state.best_step}" if state.history else ""
    written = [f"{name} in {out / name}" for name in ("model", "adapters") if (out / name).is_dir()]
    typer.echo(f"{state.step} steps{best}; {', '.join(written)}")


def _layer_list(text: str) -> tuple[int, ...] | None:
    from worker.errors import UsageError

    try:
        return tuple(int(part) for part in text.split(",")) if text else None
    except ValueError as error:
        raise UsageError(f"--layers takes numbers with commas, not {text!r}") from error
