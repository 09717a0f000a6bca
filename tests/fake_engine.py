"""An engine whose answer is a function of the text: lets the whole pipeline run without weights or torch."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.classify.answers import CallStats, ClassifyError, Probabilities, Text
from worker.classify.engine import Call

POISON = "POISON"
"""A text that contains this cannot be classified."""


def answer(text: str) -> tuple[float, float, float]:
    """Negative, neutral, positive for a normalised text: sixteenths, so exact in every float format."""
    first = hashlib.blake2b(text.encode(), digest_size=2).digest()
    negative, neutral = first[0] % 8, first[1] % 8
    return negative / 16, neutral / 16, (16 - negative - neutral) / 16


@dataclass(slots=True, eq=False)
class FakeCall(Call):
    """What was begun; computed when it is finished."""

    texts: Sequence[Text]


class FakeEngine:
    """The engine's shape, with a hook that runs in the middle of every forward."""

    model_name = "fake"
    digest = "0" * 12
    precision = "float32"
    identity = "fake"

    def __init__(
        self, *, delay_s: float = 0.0, in_forward: Callable[[Sequence[Text]], None] | None = None
    ) -> None:
        self.delay_s = delay_s
        self.in_forward = in_forward
        self.classified: list[str] = []
        self.last_call = CallStats()

    def prepare(self, texts: Sequence[tuple[str, str, bool]]) -> list[Text]:
        return [Text(kind, text, [len(text)], truncated) for kind, text, truncated in texts]

    def begin(self, texts: Sequence[Text]) -> Call:
        return FakeCall([], [], texts)

    def finish(self, call: Call) -> list[Probabilities | ClassifyError]:
        assert isinstance(call, FakeCall)
        texts = call.texts
        if self.in_forward is not None:
            self.in_forward(texts)
        time.sleep(self.delay_s)
        self.classified += [text.text for text in texts]
        return [
            ClassifyError("poison", "told to")
            if POISON in text.text
            else Probabilities(*answer(text.text), text.truncated)
            for text in texts
        ]

    def close(self) -> None:
        """Nothing is ever left over."""
