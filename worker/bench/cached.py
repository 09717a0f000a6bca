"""(d) a worker that knows every text over a raw copy loop, and (f) whether its memory grows with the events it has seen."""

from itertools import islice
from typing import NamedTuple

from worker.bench.bench import Bench, Result
from worker.bench.numbers import Pair, median_ratio, middle, ratio_detail, steady_rate
from worker.bench.plan import MEASURES
from worker.bench.processes import WorkerProcess

COPYING = "worker.bench.copying"


class Loop(NamedTuple):
    """One way to write the raw copy loop."""

    name: str
    headers: bool
    """Whether a record's headers are copied too."""
    batch: int | None
    """Records between commits; None for the worker's micro-batch."""
    made: bool = False
    """Whether it publishes what the worker would, made beforehand, instead of the record."""


LOOPS = (
    Loop("that copies whole records, a commit a micro-batch", headers=True, batch=None),
    Loop("that publishes the worker's messages, made beforehand", headers=True, batch=None, made=True),
    Loop("without headers, a commit a micro-batch", headers=False, batch=None),
    Loop("without headers, a commit every 1,000", headers=False, batch=1_000),
)
"""The first is what the worker is measured by: a record is copied when all of it arrives. The second says how near to it any
program can come that publishes what the contract asks for. The others do less for each record, or replay more after a
crash."""
FEED_AT_ONCE = 20_000
"""Records fed in one go while memory is watched: enough that the worker is never without."""


def warm(bench: Bench, group: str, worker: WorkerProcess) -> None:
    """Let the worker read every text once."""
    bench.traffic.feed(bench.events(bench.texts, len(bench.texts)))
    bench.traffic.await_lag(group, 0, worker.check)


def cached_throughput(bench: Bench) -> Result:
    """(d): second passes over the same texts, fed while the worker stands still, by turns with the copy loop."""
    count, traffic = bench.plan.cached_events, bench.traffic
    source, target = traffic.new_topic(), traffic.new_topic()
    bench.progress(f"{MEASURES['d'].title}: laying out {count:,} records for the copy loop")
    start = traffic.ends([source])
    for event in bench.events(bench.texts, count):
        traffic.send(event, topic=source)
    traffic.settle()
    pairs: dict[Loop, list[Pair]] = {loop: [] for loop in LOOPS}
    group = traffic.new_group()
    with bench.worker(group) as worker:
        bench.progress(f"{MEASURES['d'].title}: first pass over {len(bench.texts):,} texts")
        warm(bench, group, worker)
        for _ in bench.repetitions(f"{MEASURES['d'].title} (d)"):
            since = traffic.mark()
            with worker.paused():
                traffic.feed(bench.events(bench.texts, count))
            traffic.await_lag(group, 0, worker.check)
            rate = steady_rate(
                [(output.made_s, 1.0) for output in traffic.outputs(since, count)],
                burst=bench.window_records,
            )
            for loop, ratios in pairs.items():
                copied = bench.measure(
                    [COPYING],
                    {
                        "topics": [source],
                        "target": target,
                        "count": count,
                        "batch": loop.batch or bench.window_records,
                        "headers": loop.headers,
                        "made": loop.made,
                        "seed": bench.plan.seed,
                        "group": traffic.new_group(start),
                    },
                )
                ratios.append(Pair(rate, copied["records"] / copied["seconds"]))
    first, *others = LOOPS
    beside = "; ".join(f"{median_ratio(pairs[loop]):.3f} of one {loop.name}" for loop in others)
    return Result(
        "d",
        median_ratio(pairs[first]),
        f"{middle(pairs[first])} records/s; {beside}",
        {
            **ratio_detail(pairs[first]),
            "reference": first.name,
            "over_other_loops": {loop.name: ratio_detail(pairs[loop]) for loop in others},
            "events": count,
            "texts": len(bench.texts),
        },
    )


def memory(bench: Bench) -> Result:
    """(f): resident memory after many cached events over that after a tenth of them."""
    first, last = bench.plan.memory_events
    group = bench.traffic.new_group()
    with bench.worker(group) as worker:
        bench.progress(f"{MEASURES['f'].title} (f): first pass over {len(bench.texts):,} texts")
        warm(bench, group, worker)
        before = _after(bench, group, worker, first)
        after = _after(bench, group, worker, last - first)
    return Result(
        "f",
        after / before,
        f"{after / 1024:,.0f} MB after {last:,} events / {before / 1024:,.0f} MB after {first:,}",
        {"ratio": after / before, "resident_kb": {str(first): before, str(last): after}},
    )


def _after(bench: Bench, group: str, worker: WorkerProcess, count: int) -> int:
    """Resident kB once the worker has done `count` more events and come to rest."""
    events = bench.events(bench.texts, count)
    done = 0
    while block := list(islice(events, FEED_AT_ONCE)):
        bench.traffic.feed(block)
        bench.traffic.await_lag(group, FEED_AT_ONCE, worker.check)
        done += len(block)
        if done % (FEED_AT_ONCE * 10) == 0:
            bench.progress(f"{MEASURES['f'].title} (f): {done:,} of {count:,} events")
    bench.traffic.await_lag(group, 0, worker.check)
    return worker.resident_kb()
