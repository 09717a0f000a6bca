"""An engine whose answer is a function of the text: lets the whole pipeline run without weights or torch."""

import hashlib
import time
from collections.abc import Callable, Sequence

from worker.classify.answers import CallStats, ClassifyError, Probabilities, Text
from worker.classify.engine import Call
from worker.classify.lanes import Lanes, gather

POISON = "POISON"
"""A text that contains this cannot be classified."""


def answer(text: str) -> tuple[float, float, float]:
    """Negative, neutral, positive for a normalised text: sixteenths, so exact in every float format."""
    first = hashlib.blake2b(text.encode(), digest_size=2).digest()
    negative, neutral = first[0] % 8, first[1] % 8
    return negative / 16, neutral / 16, (16 - negative - neutral) / 16


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
        self._lanes = Lanes(1)

    def prepare(self, texts: Sequence[tuple[str, str, bool]]) -> list[Text]:
        return [Text(kind, text, [len(text)], truncated) for kind, text, truncated in texts]

    def begin(self, texts: Sequence[Text]) -> Call:
        call = Call(texts, [], [], 0)
        call.forwards += self._lanes.begin(lambda some: self.compute(some, call), [texts])
        return call

    def finish(self, call: Call) -> list[Probabilities | ClassifyError]:
        gather(call.forwards)
        return call.answers

    def compute(self, texts: Sequence[Text], call: Call) -> CallStats:
        """The forward, on the lane's thread."""
        if self.in_forward is not None:
            self.in_forward(texts)
        time.sleep(self.delay_s)
        self.classified += [text.text for text in texts]
        call.answers += [
            ClassifyError("poison", "told to")
            if POISON in text.text
            else Probabilities(*answer(text.text), text.truncated)
            for text in texts
        ]
        return CallStats()

    def close(self) -> None:
        self._lanes.close()
