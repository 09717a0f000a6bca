"""Canaries: texts whose answers are known. A model that answers otherwise is not the one that was evaluated."""

from collections.abc import Sequence
from typing import Protocol

from worker.classify.answers import ClassifyError, Probabilities, Text
from worker.classify.bundle import Bundle
from worker.classify.normalise import normalise
from worker.errors import ModelError

TOLERANCE = {"float32": 2e-3, "bfloat16": 5e-2, "int8": 0.2}
"""Largest difference of a probability from the one computed in float32 where the bundle was made. int8 moves single texts
far: 0.04 was seen among the shipped canaries, 0.14 at the hundredth of a set's texts that it moves most."""


class Loaded(Protocol):
    """The part of the engine that canaries ask."""

    bundle: Bundle
    precision: str

    def prepare(self, texts: Sequence[tuple[str, str, bool]]) -> list[Text]:
        """Tokenise (kind, normalised text, cut already) triples."""
        ...

    def classify(self, texts: Sequence[Text]) -> list[Probabilities | ClassifyError]:
        """One answer per text, in order."""
        ...


def check_canaries(engine: Loaded) -> float:
    """Classify the bundle's canaries; return the largest difference found.

    Raises:
        ModelError: an answer differs by more than its precision explains.
    """
    canaries = engine.bundle.manifest.canaries
    texts = engine.prepare([(canary.kind, *normalise(canary.text)) for canary in canaries])
    tolerance = TOLERANCE[engine.precision]
    largest = 0.0
    for canary, answer in zip(canaries, engine.classify(texts), strict=True):
        if isinstance(answer, ClassifyError):
            raise ModelError(f"the canary {canary.text!r} cannot be classified: {answer.detail}")
        differences = [abs(is_ - was) for is_, was in zip(answer[:3], canary.probabilities, strict=True)]
        largest = max(largest, *differences)
        if largest > tolerance:
            found = ", ".join(f"{value:.4f}" for value in answer[:3])
            wanted = ", ".join(f"{value:.4f}" for value in canary.probabilities)
            raise ModelError(
                f"the canary {canary.text!r} gets ({found}), not ({wanted}) as where the bundle was made",
                hint="try TAGLINE_MODEL_PRECISION=float32 (on a GPU with TAGLINE_MODEL_DEVICE=cpu); if that fails too, the bundle or the "
                "libraries are damaged",
            )
    return largest
