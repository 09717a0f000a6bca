"""The result as JSON and as a table. Pure."""

import shlex
from collections.abc import Mapping, Sequence

from rich.table import Table

from worker.bench.bench import Result
from worker.bench.numbers import percentile
from worker.bench.plan import MEASURES, Measure, Plan

FORMAT = 1


def as_json(
    plan: Plan, facts: Mapping[str, object], results: Sequence[Result], arguments: Sequence[str]
) -> dict[str, object]:
    """Everything that somebody needs to judge the numbers and to repeat them."""
    return {
        "format": FORMAT,
        "command": shlex.join(["tagline", *arguments]),
        "seed": plan.seed,
        "repetitions": plan.repetitions,
        **facts,
        "results": {
            result.name: {
                "measure": MEASURES[result.name].title,
                "value": result.value,
                "target": MEASURES[result.name].target,
                "goal": MEASURES[result.name].goal,
                "met": met(MEASURES[result.name], result.value),
                **result.detail,
            }
            for result in results
        },
    }


def lengths_summary(lengths: Sequence[int]) -> dict[str, float]:
    """Tokens per text, special tokens included."""
    return {
        "texts": len(lengths),
        "tokens_mean": round(sum(lengths) / len(lengths), 1),
        "tokens_p50": percentile(lengths, 0.5),
        "tokens_p95": percentile(lengths, 0.95),
        "tokens_max": max(lengths),
    }


def met(measure: Measure, value: float) -> bool | None:
    """Whether a value meets its target; None when it has none."""
    if measure.target is None:
        return None
    return value <= measure.target if measure.at_most else value >= measure.target


def as_table(results: Sequence[Result], caption: str) -> Table:
    """For a terminal."""
    table = Table(caption=caption, caption_justify="left", pad_edge=False, box=None, header_style="bold")
    for title, right in (("", False), ("measure", False), ("result", True), ("target", True), ("goal", True)):
        table.add_column(title, justify="right" if right else "left", no_wrap=title != "measure")
    table.add_column("made of")
    for result in results:
        measure = MEASURES[result.name]
        colour = {True: "green", False: "red", None: ""}[met(measure, result.value)]
        value = f"{result.value:.0f} ms" if result.name == "e" else f"{result.value:.3f}"
        sign = "<=" if measure.at_most else ">="
        target, goal = (
            "" if bound is None else f"{sign} {bound:.2f}" for bound in (measure.target, measure.goal)
        )
        table.add_row(
            result.name,
            measure.title,
            f"[{colour}]{value}[/]" if colour else value,
            target,
            goal,
            result.summary,
        )
    return table
