"""(e) how old a record's input is when its tagged event is made, at 70 % of what the worker can do."""

import time

from worker.bench.bench import Bench, Result
from worker.bench.events import input_event
from worker.bench.numbers import percentile
from worker.bench.plan import MEASURES
from worker.bench.texts import unique_texts

LOAD = 0.7
WARM_TEXTS = 200
MOST_PER_TEXT = 10
"""Records per text of the plan, at most: a capacity measured with too few texts may be any number."""
_SETTLING_SHARE = 0.1
"""Of the records, at the start, that are not counted."""


def latency(bench: Bench, capacity_per_s: float) -> Result:
    """Unique texts arrive evenly at 70 % of `capacity_per_s`; milliseconds from input to output record timestamp."""
    rate = LOAD * capacity_per_s
    count = min(round(rate * bench.plan.latency_s), bench.plan.texts * MOST_PER_TEXT)
    # Another seed than the other measurements', so that no text repeats within a worker's life.
    texts = unique_texts(WARM_TEXTS + count, bench.plan.seed + 1)
    group = bench.traffic.new_group()
    with bench.worker(group) as worker:
        bench.progress(f"{MEASURES['e'].title} (e): {count:,} records at {rate:,.0f} per second")
        bench.traffic.feed(bench.events(texts[:WARM_TEXTS], WARM_TEXTS))
        bench.traffic.await_lag(group, 0, worker.check)
        since = bench.traffic.mark()
        began = time.monotonic()
        for number, text in enumerate(texts[WARM_TEXTS:]):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            bench.traffic.send(input_event(text, number, number))
        seconds = time.monotonic() - began
        bench.traffic.settle()
        bench.traffic.await_lag(group, 0, worker.check)
    outputs = sorted(
        bench.traffic.outputs(since, count), key=lambda output: output.made_s - output.age_ms / 1000
    )
    ages = [output.age_ms for output in outputs[round(count * _SETTLING_SHARE) :]]
    p50, p99 = percentile(ages, 0.5), percentile(ages, 0.99)
    return Result(
        "e",
        p99,
        f"p50 {p50:,.0f} ms, p99 {p99:,.0f} ms at {count / seconds:,.0f} texts/s",
        {"p50_ms": p50, "p99_ms": p99, "arrivals_per_s": count / seconds, "records": len(ages)},
    )
