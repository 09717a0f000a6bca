"""How the demo looks: a live screen on a terminal, plain lines elsewhere, and the summary both end with."""

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from worker.demo.gauges import Gauges
from worker.demo.watch import Tag, Tally

COLOURS = {"negative": "red", "neutral": "yellow", "positive": "green"}
TEXT_COLUMNS = 70


def screen(tally: Tally, gauges: Gauges, *, elapsed_s: float, seconds: float) -> RenderableType:
    """The live screen: counters above, the most recent tags below."""
    until = f"{elapsed_s:.0f} of {seconds:.0f} s" if seconds else f"{elapsed_s:.0f} s, Ctrl-C ends it"
    counters = Table.grid(padding=(0, 3))
    counters.add_row(
        f"[bold]{tally.rate():.0f}[/] tagged/s",
        f"{tally.fed} fed",
        f"{tally.tagged} tagged",
        f"lag {gauges.lag}",
        f"cache hits {gauges.hit_share:.0%}",
        f"dead letters {sum(tally.dead_letters.values())}",
        until,
    )
    signals = "   ".join(f"{name} {count}" for name, count in sorted(tally.signals.items())) or "none yet"
    recent = Table(expand=True, box=None, pad_edge=False)
    for name, options in (("kind", {"width": 7}), ("label", {"width": 9}), ("confidence", {"width": 10})):
        recent.add_column(name, **options)  # type: ignore[arg-type] # rich's options are not typed as a mapping
    recent.add_column("text", no_wrap=True, overflow="ellipsis")
    for tag in list(tally.recent):
        recent.add_row(
            tag.kind, Text(tag.label, COLOURS[tag.label]), f"{tag.confidence:.2f}", _one_line(tag.text)
        )
    return Group(
        Panel(counters, title="tagline demo", title_align="left"),
        Text(f"signals: {signals}", "dim"),
        recent,
    )


def plain_line(tag: Tag) -> str:
    """One tag as a line of text, for output that is not a terminal."""
    return f"{tag.kind:<7} {tag.label:<9} {tag.confidence:.2f}  {_one_line(tag.text)}"


def status_line(tally: Tally, gauges: Gauges) -> str:
    """The counters as a line of text."""
    return (
        f"------- {tally.rate():.0f} tagged/s, {tally.fed} fed, {tally.tagged} tagged, lag {gauges.lag}, "
        f"cache hits {gauges.hit_share:.0%}, dead letters {sum(tally.dead_letters.values())}"
    )


def summary(console: Console, tally: Tally, gauges: Gauges, *, elapsed_s: float, exit_code: int) -> None:
    """Print what happened, for a reader who looked away."""
    labels = ", ".join(f"{label} {tally.labels[label]}" for label in COLOURS)
    signals = ", ".join(f"{name} {count}" for name, count in sorted(tally.signals.items()))
    reasons = ", ".join(f"{reason} {count}" for reason, count in tally.dead_letters.most_common())
    table = Table.grid(padding=(0, 2))
    table.add_row("fed", f"{tally.fed} events in {elapsed_s:.0f} s")
    table.add_row("tagged", f"{tally.tagged} ({labels})")
    table.add_row("signals", signals or "none")
    table.add_row("dead letters", f"{sum(tally.dead_letters.values())} ({reasons})" if reasons else "0")
    table.add_row(
        "cache", f"{gauges.cache_hits} of {gauges.cache_requests} look-ups answered ({gauges.hit_share:.0%})"
    )
    missing = tally.fed - tally.accounted
    table.add_row(
        "accounted for", "every event" if missing <= 0 else f"all but {missing}, still on their way"
    )
    table.add_row("worker", f"drained and ended with exit code {exit_code}")
    console.print()
    console.print(table)


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= TEXT_COLUMNS else flat[: TEXT_COLUMNS - 1] + "…"
