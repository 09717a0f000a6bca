"""The measurements without Kafka, each in a process of its own so that it has the cores to itself.

    python -m worker.bench.forwards MODE < specification.json > result.json

The settings come from the environment, as the worker's do.
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from worker.bench import stock
from worker.bench.child import answer
from worker.classify.bundle import load_bundle
from worker.classify.device import choose_device
from worker.classify.engine import Engine, Text
from worker.classify.normalise import normalise
from worker.settings import ModelSettings, load

Pair = tuple[str, str]
"""Kind and text."""

WARM_UP_TEXTS = 64


def prepared(engine: Engine, texts: Sequence[Pair]) -> list[Text]:
    """Texts as the worker hands them to the device."""
    return engine.prepare([(kind, *normalise(text)) for kind, text in texts])


def identify(settings: ModelSettings, specification: dict[str, Any]) -> dict[str, object]:
    """Which model is measured, and how many tokens the texts have."""
    import torch

    engine = Engine.load(settings)
    lengths = [len(text.ids) for text in prepared(engine, specification["texts"])]
    return {
        "model": engine.model_name,
        "digest": engine.digest,
        "precision": engine.precision,
        "threads": engine.lanes,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "machine": engine.machine,
        "lengths": lengths,
    }


def packed(settings: ModelSettings, specification: dict[str, Any]) -> dict[str, object]:
    """The bare packed forward of all texts, and beside it the time their tokens took."""
    engine = Engine.load(settings)
    texts: list[Pair] = specification["texts"]
    engine.classify(prepared(engine, texts[:WARM_UP_TEXTS]))
    began = time.perf_counter()
    ready = prepared(engine, texts)
    tokenised = time.perf_counter()
    engine.classify(ready)
    return {
        "texts": len(texts),
        "prepare_s": tokenised - began,
        "classify_s": time.perf_counter() - tokenised,
    }


def padding(settings: ModelSettings, specification: dict[str, Any]) -> dict[str, object]:
    """The same tokens packed and padded, by turns, in one process: same precision, same device, same cores. The stock model
    has no int8; where the worker computes in that, both are compared in float32, so that the ratio is one of packing.

    The engine gives each lane one thread, process-wide; the stock model gets torch's way of using as many cores.
    """
    import torch

    engine = Engine.load(settings)
    if engine.precision == "int8":
        engine = Engine.load(settings.model_copy(update={"precision": "float32"}))
    bundle = load_bundle(settings.bundle)
    model = stock.stock_model(bundle, engine.precision, choose_device(settings.device))
    ready = prepared(engine, specification["texts"])
    sequences = [text.ids for text in ready]
    filler = stock.padding_id(bundle)
    engine.classify(ready[:WARM_UP_TEXTS])
    stock.padded_seconds(model, sequences[:WARM_UP_TEXTS], filler)
    repetitions = []
    for _ in range(specification["repetitions"]):
        began = time.perf_counter()
        engine.classify(ready)
        packed_s = time.perf_counter() - began
        torch.set_num_threads(engine.lanes)
        repetitions.append((packed_s, stock.padded_seconds(model, sequences, filler)))
        torch.set_num_threads(1)
    return {
        "texts": len(ready),
        "precision": engine.precision,
        "seconds": repetitions,
        "padding_share": stock.padding_share([len(sequence) for sequence in sequences]),
    }


def plain(settings: ModelSettings, specification: dict[str, Any]) -> dict[str, object]:
    """The plain loop as it is written first: float32, torch's own number of threads; on a GPU where the worker has one."""
    bundle = load_bundle(settings.bundle)
    model = stock.stock_model(bundle, "float32", choose_device(settings.device))
    tokenizer = stock.plain_tokenizer(bundle)
    texts = [text for _, text in specification["texts"]]
    stock.plain_seconds(model, tokenizer, texts[: stock.PLAIN_BATCH])
    return {"texts": len(texts), "seconds": stock.plain_seconds(model, tokenizer, texts)}


MODES: dict[str, Callable[[ModelSettings, dict[str, Any]], dict[str, object]]] = {
    "identify": identify,
    "packed": packed,
    "padding": padding,
    "plain": plain,
}


def main() -> int:
    """Measure what the specification asks for, with the settings in force."""
    mode = MODES[sys.argv[1]]
    return answer(lambda specification: mode(load().model, specification))


if __name__ == "__main__":
    sys.exit(main())
