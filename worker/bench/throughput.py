"""(a) the worker over the bare forward, (b) packed over padded, (c) the worker over the plain loop."""

from statistics import mean, median
from typing import Any

from worker.bench.bench import Bench, Result
from worker.bench.numbers import Pair, median_ratio, middle, ratio_detail, steady_rate
from worker.bench.plan import MEASURES

FORWARDS = "worker.bench.forwards"


def worker_rate(bench: Bench) -> float:
    """Texts per second from Kafka to Kafka, all of them fed before the worker starts, its start not counted.

    A text counts as what its tokens are over the average: titles are short, and stand in a topic of their own, so they
    may nearly all come at the start, and a rate of the rest in plain texts would be that of longer ones.
    """
    group, since, first = bench.traffic.new_group(), bench.traffic.mark(), bench.next_number
    bench.traffic.feed(bench.events(bench.texts, len(bench.texts)))
    with bench.worker(group) as worker:
        bench.traffic.await_lag(group, 0, worker.check)
    average = mean(bench.lengths)
    return steady_rate(
        [
            (output.made_s, bench.lengths[output.number - first] / average)
            for output in bench.traffic.outputs(since, len(bench.texts))
        ],
        burst=bench.window_records,
    )


def end_to_end(bench: Bench, names: tuple[str, ...]) -> tuple[list[Result], float]:
    """(a) and (c), by turns: worker, bare forward, plain loop; and the worker's median rate per second."""
    workers: list[float] = []
    bare: list[dict[str, Any]] = []
    plain: list[dict[str, Any]] = []
    for _ in bench.repetitions("worker from Kafka to Kafka (a, c)"):
        workers.append(worker_rate(bench))
        if "a" in names:
            bare.append(bench.measure([FORWARDS, "packed"], {"texts": bench.pairs()}))
        if "c" in names:
            plain.append(bench.measure([FORWARDS, "plain"], {"texts": bench.pairs(bench.plan.plain_texts)}))
    results = []
    if bare:
        results.append(_over_bare(workers, bare))
    if plain:
        results.append(_over_plain(workers, plain))
    return results, median(workers)


def _over_bare(workers: list[float], bare: list[dict[str, Any]]) -> Result:
    pairs, forward_only = [], []
    for rate, found in zip(workers, bare, strict=True):
        pairs.append(Pair(rate, found["texts"] / (found["prepare_s"] + found["classify_s"])))
        forward_only.append(Pair(rate, found["texts"] / found["classify_s"]))
    return Result(
        "a",
        median_ratio(pairs),
        f"{middle(pairs)} texts/s; {median_ratio(forward_only):.3f} of the forward without its tokenising",
        {
            **ratio_detail(pairs),
            "reference": "Engine.prepare, then Engine.classify, of all texts in one call each",
            "over_forward_alone": {
                **ratio_detail(forward_only),
                "reference": "Engine.classify of all texts in one call",
            },
        },
    )


def _over_plain(workers: list[float], plain: list[dict[str, Any]]) -> Result:
    pairs = [
        Pair(rate, found["texts"] / found["seconds"]) for rate, found in zip(workers, plain, strict=True)
    ]
    return Result("c", median_ratio(pairs), f"{middle(pairs)} texts/s", ratio_detail(pairs))


def packing(bench: Bench) -> Result:
    """(b) in one process, by turns."""
    bench.progress(f"{MEASURES['b'].title}: {bench.plan.repetitions} repetitions")
    found = bench.measure(
        [FORWARDS, "padding"],
        {"texts": bench.pairs(bench.plan.padded_texts), "repetitions": bench.plan.repetitions},
    )
    pairs = [Pair(found["texts"] / packed, found["texts"] / padded) for packed, padded in found["seconds"]]
    share = found["padding_share"]
    return Result(
        "b",
        median_ratio(pairs),
        f"{middle(pairs)} texts/s, both in {found['precision']}; {share:.0%} of the padded tokens are padding",
        {**ratio_detail(pairs), "precision": found["precision"], "padding_share": share},
    )
