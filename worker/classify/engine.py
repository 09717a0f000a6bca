"""The engine: normalised texts in, calibrated probabilities out. What the pipeline, `tagline classify` and the bench use.

The promise: for one identity, a text's probabilities are the same bits alone, in any batch, in any order, before and after
a replay (packed models on a CPU; ADR 0010 says what that takes, and the property tests hold it on the machine at hand).
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from worker.classify.answers import CallStats, ClassifyError, Probabilities, Text
from worker.classify.bundle import Bundle, load_bundle
from worker.classify.canary import check_canaries
from worker.classify.device import available_cores
from worker.classify.fingerprint import fingerprint
from worker.classify.forward import Forward, make_forward
from worker.classify.lanes import Lanes, gather
from worker.classify.manifest import TOKENIZER
from worker.classify.plan import plan_forwards
from worker.classify.rescue import Budget, is_device_lost, is_out_of_memory
from worker.classify.sentiment import probabilities_of
from worker.classify.tokenise import Tokeniser
from worker.errors import DeviceError, ModelError
from worker.settings import ModelSettings
from worker.telemetry import metrics

__all__ = ["Call", "CallStats", "ClassifyError", "Engine", "Probabilities", "Text"]

CPU_TOKENS = 1_024
"""Tokens of one forward on a CPU. Measured: 512 is 3 to 9 % slower, 2,048 equal within noise and slower to answer."""
CUDA_TOKENS = 16_384
UNKNOWN_KIND, OUT_OF_MEMORY = "unknown_kind", "out_of_memory"
_START_ANEW = "the process must start anew; if one record does it each time, TAGLINE_LIMITS_CRASH_JOURNAL has it found and passed over"


@dataclass(slots=True, eq=False)
class Call:
    """Texts on their way through the model, from `Engine.begin` to `Engine.finish`."""

    texts: Sequence[Text]
    answers: list[Probabilities | ClassifyError]
    """One per text, in order; final when all forwards are done."""
    forwards: list[Future[CallStats]]
    budget: int
    """Tokens of one forward when it was begun."""


class Engine:
    """A loaded model. `prepare` and `begin` may be called by any thread, `finish` and `classify` by one at a time."""

    def __init__(
        self, bundle: Bundle, forward: Forward, tokens_per_forward: int = 0, threads: int = 0
    ) -> None:
        """Most callers want :meth:`load`."""
        self.bundle = bundle
        self.model_name = bundle.manifest.name
        self.digest = bundle.digest
        self.precision = forward.precision
        self.packed = forward.packed
        self.machine = forward.machine
        self.last_call = CallStats()
        """What the last `finish` saw; read it on the same thread."""
        self._forward = forward
        self._heads = bundle.manifest.kinds
        default = CUDA_TOKENS if forward.on_gpu else CPU_TOKENS
        self._budget = Budget(max(tokens_per_forward or default, 1))
        self._lanes = Lanes(1 if forward.on_gpu else threads or available_cores())
        self.lanes = self._lanes.lanes
        """Forwards that are computed side by side."""
        self._definition = bundle.content(TOKENIZER)
        self._own = threading.local()
        self._harmless = self.prepare([(kind, "a", False) for kind in self._heads])
        """What the device is asked when texts fail: warm_up() saw that the model answers it."""
        vocabulary = self._tokeniser().vocabulary
        if vocabulary > forward.vocabulary:
            raise ModelError(
                f"the tokenizer has ids up to {vocabulary - 1} and the model {forward.vocabulary} embeddings",
                hint="tokenizer.json belongs to another model",
            )
        bits = fingerprint(self.prepare, forward, bundle.manifest)
        self.identity = f"{bundle.full_digest[:32]}/{forward.identity}/bits-{bits}"
        """Names cached answers: whatever could change a bit of one is in it."""

    @classmethod
    def load(cls, settings: ModelSettings | None = None, *, bundle: Path | None = None) -> "Engine":
        """Verify a bundle, choose device and precision, load, warm up, check the canaries. Takes seconds.

        Raises:
            ModelError: the bundle cannot be served, and why.
        """
        settings = settings or ModelSettings.model_validate({})
        checked = load_bundle(bundle or settings.bundle)
        try:
            engine = cls(
                checked, make_forward(checked, settings), settings.tokens_per_forward, settings.threads
            )
        # torch's, of a GPU as of a CPU: no memory, no kernel for it, a device in use
        except RuntimeError as error:
            raise ModelError(
                f"the model cannot be computed here: {type(error).__name__}, {' '.join(str(error).split())[:300]}",
                hint="memory, a driver or a library is at fault; where it is the GPU's, TAGLINE_MODEL_DEVICE=cpu serves without it",
            ) from error
        engine.warm_up()
        check_canaries(engine)
        return engine

    def require(self, kinds: Sequence[str]) -> None:
        """Raise unless the bundle answers for all of these kinds.

        Raises:
            ModelError: every text of a kind would be rejected.
        """
        lacking = [kind for kind in kinds if kind not in self._heads]
        if lacking:
            raise ModelError(
                f"{self.model_name} does not answer for texts of the kind {', '.join(lacking)}",
                hint="a worker reads listings and reviews; `tagline model import` serves both unless --kinds says otherwise",
            )

    def prepare(self, texts: Sequence[tuple[str, str, bool]]) -> list[Text]:
        """Tokenise (kind, normalised text, cut already) triples. Any thread, each with a tokenizer of its own."""
        encoded = self._tokeniser().encode([text for _, text, _ in texts])
        return [
            Text(kind, text, ids, truncated or cut)
            for (kind, text, truncated), (ids, cut) in zip(texts, encoded, strict=True)
        ]

    def begin(self, texts: Sequence[Text]) -> Call:
        """Queue the forwards of these texts behind those begun before. Does not block.

        Begin the next texts before the last ones are finished, and no lane stands still while another computes the last
        forward of a call.
        """
        answers: list[Probabilities | ClassifyError] = [
            ClassifyError(UNKNOWN_KIND, f"the model has no columns for {text.kind!r}") for text in texts
        ]
        todo = [index for index, text in enumerate(texts) if text.kind in self._heads]
        lengths = [len(texts[index].ids) for index in todo]
        budget = self._budget.tokens()
        forwards = plan_forwards(lengths, budget, self._lanes.lanes)
        begun = self._lanes.begin(
            lambda forward: self._compute(texts, [todo[position] for position in forward], answers), forwards
        )
        return Call(texts, answers, begun, budget)

    def finish(self, call: Call) -> list[Probabilities | ClassifyError]:
        """One answer per text, in order. Blocks until the call's forwards are done.

        A text that the model fails on gets a ClassifyError and its neighbours get their answers. One that found no memory, even
        alone, is tried once more when the call's other forwards are done and have given theirs back. Whether it is the text that
        fails and not the device shows a text that was answered before: it is asked again, which costs one small forward.

        Raises:
            DeviceError: the device itself is lost, or fails on whatever it is given; nothing of this call may be used.
        """
        self.last_call = sum(gather(call.forwards), CallStats()) + self._try_again(call)
        failed = [answer.code for answer in call.answers if isinstance(answer, ClassifyError)]
        self.last_call.failed_texts = len(failed)
        if any(code != UNKNOWN_KIND for code in failed):
            self._require_sound()
        if self.last_call.out_of_memory:
            self._budget.halve(call.budget)
            metrics.DEVICE_OUT_OF_MEMORY.inc(self.last_call.out_of_memory)
        return call.answers

    def classify(self, texts: Sequence[Text]) -> list[Probabilities | ClassifyError]:
        """Begin and finish in one. An interrupt drops the forwards that no lane has taken yet."""
        call = self.begin(texts)
        try:
            return self.finish(call)
        except BaseException:
            for forward in call.forwards:
                forward.cancel()
            raise

    def close(self) -> None:
        """Drop the forwards that were begun and not computed yet; their calls can no longer be finished."""
        self._lanes.close()

    def warm_up(self) -> None:
        """A forward of the full budget in every lane, so that the first record does not wait for memory and compiled kernels.

        Raises:
            DeviceError: not even a harmless text can be computed.
        """
        filler = self._harmless[0]
        length = min(32, self.bundle.manifest.max_tokens)
        ids = (list(filler.ids) * length)[:length]
        self._require_sound()
        self.classify(
            [Text(filler.kind, "", ids, False)]
            * (self._lanes.lanes * max(1, self._budget.tokens() // length))
        )

    def _try_again(self, call: Call) -> CallStats:
        """The texts that found no memory, one after the other. Blocks for their forwards."""
        short = [
            index
            for index, answer in enumerate(call.answers)
            if isinstance(answer, ClassifyError) and answer.code == OUT_OF_MEMORY
        ]
        stats = CallStats()
        for index in short:
            again = self._lanes.begin(
                lambda forward: self._compute(call.texts, forward, call.answers), [[index]]
            )
            stats = sum(gather(again), stats)
        return stats

    def _require_sound(self) -> None:
        """Blocks for a small forward behind those that are queued. Raises DeviceError when it fails."""
        members = list(range(len(self._harmless)))
        answers: list[Probabilities | ClassifyError] = [ClassifyError(UNKNOWN_KIND, "")] * len(members)
        gather(self._lanes.begin(lambda forward: self._compute(self._harmless, forward, answers), [members]))
        for answer in answers:
            if isinstance(answer, ClassifyError):
                raise DeviceError(
                    f"the model fails on any text, even a harmless one: {answer.code}, {answer.detail}",
                    hint=f"the device, its memory or a library is at fault; {_START_ANEW}",
                )

    def _tokeniser(self) -> Tokeniser:
        tokeniser: Tokeniser | None = getattr(self._own, "tokeniser", None)
        if tokeniser is None:
            manifest = self.bundle.manifest
            tokeniser = Tokeniser(self._definition, manifest.max_tokens, manifest.truncation)
            self._own.tokeniser = tokeniser
        return tokeniser

    def _compute(
        self, texts: Sequence[Text], members: list[int], answers: list[Probabilities | ClassifyError]
    ) -> CallStats:
        """One forward, in a lane; whatever it raises is narrowed down by halves to the texts that cause it."""
        try:
            rows, padding = self._forward.logits([texts[index].ids for index in members])
        except Exception as error:  # any text may provoke anything; it must not take its neighbours along
            if is_device_lost(error):
                raise DeviceError(f"the device is lost: {error}", hint=_START_ANEW) from error
            out_of_memory, why = is_out_of_memory(error), type(error).__name__
        else:
            return self._answer(texts, members, rows, padding, answers)
        # Only here, where the error is gone: it holds the frames of the failed forward, and these all that was computed.
        stats = CallStats(out_of_memory=int(out_of_memory))
        if out_of_memory:
            self._forward.free_memory()
        if len(members) == 1:
            answers[members[0]] = ClassifyError(OUT_OF_MEMORY if out_of_memory else "failed", why)
            return stats
        half = len(members) // 2
        first = self._compute(texts, members[:half], answers)
        return stats + first + self._compute(texts, members[half:], answers)

    def _answer(
        self,
        texts: Sequence[Text],
        members: Sequence[int],
        rows: Sequence[Sequence[float]],
        padding: int,
        answers: list[Probabilities | ClassifyError],
    ) -> CallStats:
        stats = CallStats(forwards=1, padding=padding)
        for index, row in zip(members, rows, strict=True):
            text = texts[index]
            stats.tokens += len(text.ids)
            answers[index] = probabilities_of(row, self._heads[text.kind], text)
        return stats
