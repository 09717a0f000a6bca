"""``tagline classify``: the model on the command line, without Kafka."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from worker.cli.streams import say

if TYPE_CHECKING:
    from io import BufferedIOBase

    from worker.classify.engine import Engine

_CHUNK_BYTES = 64_000


class Kind(StrEnum):
    """Kinds of text."""

    TITLE = "title"
    REVIEW = "review"


def classify(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; lines of stdin when left out.")] = None,
    kind: Annotated[Kind, typer.Option(help="What the texts are.")] = Kind.REVIEW,
    bundle: Annotated[
        Path | None, typer.Option(help="A model bundle's folder; overrides TAGLINE_MODEL_BUNDLE.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a text, one a line.")] = False,
) -> None:
    """Tag texts with the model that the worker serves, without Kafka.

    One result for each text, in order. A text that cannot be classified (empty, not UTF-8) has an `error` instead of a
    label and does not stop the others; the exit code stays 0.
    """
    from worker.classify.engine import Engine
    from worker.settings import load
    from worker.telemetry.logs import configure_logs

    settings = load({"telemetry.log_level": "warning"})
    configure_logs(settings.telemetry)
    engine = Engine.load(settings.model, bundle=bundle)
    if not texts and sys.stdin.isatty():
        say("reading texts from the terminal, one a line; Ctrl-D ends")
    index = 0
    for chunk in [[text.encode("utf-8", "surrogateescape") for text in texts]] if texts else _stdin_lines():
        for row in _classify(engine, kind, chunk):
            _print({"index": index, **row}, as_json=as_json)
            index += 1
        sys.stdout.flush()


def _stdin_lines() -> Iterator[list[bytes]]:
    """Lines in whatever groups they arrive: all at once from a file, one by one from a person. Blocks for the next."""
    rest = b""
    stdin = cast("BufferedIOBase", sys.stdin.buffer)
    while piece := stdin.read1(_CHUNK_BYTES):
        *lines, last = piece.split(b"\n")
        if lines:
            yield [(rest + lines[0]).removesuffix(b"\r"), *(line.removesuffix(b"\r") for line in lines[1:])]
            rest = b""
        rest += last
    if rest:
        yield [rest]


def _classify(engine: "Engine", kind: Kind, lines: list[bytes]) -> list[dict[str, Any]]:
    from worker.classify.answers import ClassifyError
    from worker.classify.normalise import normalise

    rows: list[dict[str, Any]] = [{} for _ in lines]
    asked: list[tuple[int, tuple[str, str, bool]]] = []
    for position, line in enumerate(lines):
        try:
            text, truncated = normalise(line.decode("utf-8"))
        except UnicodeDecodeError:
            rows[position] = {"error": "not_utf8"}
            continue
        if text:
            asked.append((position, (str(kind), text, truncated)))
        else:
            rows[position] = {"error": "empty_text"}
    answers = engine.classify(engine.prepare([text for _, text in asked]))
    for (position, _), answer in zip(asked, answers, strict=True):
        if isinstance(answer, ClassifyError):
            rows[position] = {"error": answer.code, "detail": answer.detail}
            continue
        rows[position] = {
            "label": answer.label,
            "score": round(answer.score, 6),
            "probabilities": {
                "negative": round(answer.negative, 6),
                "neutral": round(answer.neutral, 6),
                "positive": round(answer.positive, 6),
            },
            "confidence": round(answer.confidence, 6),
            "truncated": answer.truncated,
        }
    return rows


def _print(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import orjson

        typer.echo(orjson.dumps(row).decode())
    elif "error" in row:
        typer.echo(f"{row['index']:>5}  error     {row['error']}")
    else:
        cut = "  (cut)" if row["truncated"] else ""
        typer.echo(
            f"{row['index']:>5}  {row['label']:<8}  {row['confidence']:.3f}  score {row['score']:+.3f}{cut}"
        )
