"""``tagline model``: look into a bundle, verify it, import a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from worker.classify.bundle import Bundle

app = typer.Typer(help="Look into a model bundle, verify it, or import a checkpoint.")

_Folder = Annotated[
    Path | None,
    typer.Argument(help="A bundle's folder; TAGLINE_MODEL_BUNDLE or the shipped one when left out."),
]
_AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")]


@app.command()
def info(folder: _Folder = None, as_json: _AsJson = False) -> None:
    """Print what a bundle is and says of itself, after checking its hashes. Loads no weights."""
    from worker.classify.bundle import load_bundle
    from worker.settings import load

    _print(_describe(load_bundle(folder or load().model.bundle)), as_json=as_json)


@app.command()
def verify(folder: _Folder = None, as_json: _AsJson = False) -> None:
    """Check a bundle as the worker does at its start: hashes, configuration, weights, canaries. Exit code 5 if it fails."""
    from worker.classify.canary import check_canaries
    from worker.classify.engine import Engine
    from worker.settings import load
    from worker.telemetry.logs import configure_logs

    settings = load({"telemetry.log_level": "warning"})
    configure_logs(settings.telemetry)
    engine = Engine.load(settings.model, bundle=folder)
    report = {
        **_describe(engine.bundle),
        "precision": engine.precision,
        "packed": engine.packed,
        "machine": engine.machine,
        "identity": engine.identity,
        "canaries": len(engine.bundle.manifest.canaries),
        "largest_canary_difference": round(check_canaries(engine), 6),
        "verified": True,
    }
    _print(report, as_json=as_json)


@app.command("import")
def import_(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint's folder, or its name on the model hub.")],
    to: Annotated[Path, typer.Option(help="The bundle's folder; must be new or empty.")],
    name: Annotated[str, typer.Option(help="The model's name in events and metrics.")],
    labels: Annotated[
        str,
        typer.Option(
            help="Meaning of each column in order: negative,positive or negative,neutral,positive or 1,2,3,4,5 (stars). "
            "From the checkpoint's id2label when left out."
        ),
    ] = "",
    kinds: Annotated[str, typer.Option(help="Kinds of text that it shall serve.")] = "review,title",
    max_tokens: Annotated[
        int,
        typer.Option(
            min=8,
            help="Longer texts keep their head and tail. Above 500 or so it changes nothing for English, because every text "
            "is cut to 2,000 characters first.",
        ),
    ] = 128,
    licence: Annotated[str, typer.Option(help="The checkpoint's licence, for the record.")] = "",
    as_json: _AsJson = False,
) -> None:
    """Wrap a sequence-classification checkpoint into a bundle: safetensors only, nothing of the checkpoint is run."""
    from worker.classify.importer import ImportRequest, import_checkpoint
    from worker.settings import load
    from worker.telemetry.logs import configure_logs

    configure_logs(load({"telemetry.log_level": "warning"}).telemetry)
    bundle = import_checkpoint(
        ImportRequest(checkpoint, to, name, _listed(kinds), _listed(labels), max_tokens, licence=licence)
    )
    _print(_describe(bundle), as_json=as_json)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _describe(bundle: "Bundle") -> dict[str, Any]:
    manifest, shape = bundle.manifest, bundle.architecture
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": bundle.digest,
        "folder": str(bundle.folder),
        "created_at": manifest.created_at,
        "licence": manifest.licence,
        "megabytes": round(bundle.stored_bytes / 1e6, 1),
        "model_type": shape.model_type,
        "layers": shape.layers,
        "hidden": shape.hidden,
        "max_tokens": manifest.max_tokens,
        "not_packed_because": shape.why_not_packed,
        "kinds": {kind: head.model_dump(exclude_none=True) for kind, head in manifest.kinds.items()},
        "int8": manifest.int8.model_dump() if manifest.int8 else None,
        "evaluation": manifest.evaluation,
    }


def _print(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import orjson

        typer.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
        return
    for key, value in _for_people(report).items():
        if value in (None, "", {}):
            continue
        if isinstance(value, dict):
            typer.echo(f"{key.replace('_', ' ')}:")
            for name, entry in value.items():
                typer.echo(f"  {name:<12} {_flat(entry)}")
        else:
            typer.echo(f"{key.replace('_', ' '):<26} {value}")


def _for_people(report: dict[str, Any]) -> dict[str, Any]:
    """The report with an evaluation's single figures only: its tables by category make lines that nobody reads."""
    evaluation = report.get("evaluation") or {}
    sets = evaluation.get("sets")
    if not isinstance(sets, dict):
        return report
    headlines = {
        name: {key: value for key, value in scores.items() if isinstance(value, int | float)}
        for name, scores in sets.items()
        if isinstance(scores, dict)
    }
    return report | {"evaluation": headlines, "more": "`--json` prints all that the evaluation holds"}


def _flat(entry: object) -> str:
    if isinstance(entry, dict):
        return ", ".join(f"{key} {_flat(value)}" for key, value in entry.items())
    if isinstance(entry, list | tuple):
        return " ".join(map(_flat, entry))
    return f"{entry:.4g}" if isinstance(entry, float) else str(entry)
