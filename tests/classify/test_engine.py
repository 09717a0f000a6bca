"""The engine under faults: one bad text, no memory, a lost device; and what it reports."""

import math
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence

import pytest
import torch

from tests.classify.conftest import EngineMaker
from worker.classify import sentiment, tokenise
from worker.classify.answers import KINDS
from worker.classify.engine import Call, ClassifyError, Engine, Probabilities, Text
from worker.classify.forward import PackedForward
from worker.classify.normalise import NORMALISER_VERSION
from worker.classify.rescue import Budget, is_device_lost, is_out_of_memory
from worker.classify.tokenise import Tokeniser
from worker.errors import DeviceError, ModelError
from worker.telemetry import metrics

POISON = 200
Rows = tuple[list[list[float]], int]


def text(*body: int, kind: str = "review") -> Text:
    return Text(kind, "", [0, *body, 2], truncated=False)


class Fault:
    """Stands between an engine and its forward, and counts how often it struck."""

    def __init__(self, engine: Engine, strike: Callable[[Sequence[Sequence[int]], Rows], Rows]) -> None:
        self.struck = 0
        forward = engine._forward
        compute = forward.logits

        def logits(texts: Sequence[Sequence[int]]) -> Rows:
            rows = compute(texts)
            try:
                changed = strike(texts, rows)
            except BaseException:
                self.struck += 1
                raise
            self.struck += changed is not rows
            return changed

        forward.logits = logits  # type: ignore[method-assign]  # the fault is injected here


def raise_for_poison(error: Exception) -> Callable[[Sequence[Sequence[int]], Rows], Rows]:
    def strike(texts: Sequence[Sequence[int]], rows: Rows) -> Rows:
        if any(POISON in ids for ids in texts):
            raise error
        return rows

    return strike


def test_a_text_that_breaks_the_forward_fails_alone(fresh_engine: Engine) -> None:
    texts = [text(10 + number) for number in range(21)]
    expected = fresh_engine.classify(texts)
    texts[13] = text(POISON)
    fault = Fault(fresh_engine, raise_for_poison(ValueError("this text")))
    answers = fresh_engine.classify(texts)
    assert fault.struck > 1
    assert answers[13] == ClassifyError("failed", "ValueError")
    assert answers[:13] + answers[14:] == expected[:13] + expected[14:]
    assert fresh_engine.last_call.failed_texts == 1


def test_two_bad_texts_fail_and_no_other(fresh_engine: Engine) -> None:
    texts = [text(POISON if number in {2, 9} else number + 10) for number in range(16)]
    Fault(fresh_engine, raise_for_poison(IndexError("again")))
    failed = [isinstance(answer, ClassifyError) for answer in fresh_engine.classify(texts)]
    assert [number for number, bad in enumerate(failed) if bad] == [2, 9]


def test_results_that_are_not_numbers_are_an_error_for_that_text_only(fresh_engine: Engine) -> None:
    def strike(texts: Sequence[Sequence[int]], rows: Rows) -> Rows:
        return [
            [float("nan")] * 5 if POISON in ids else row for ids, row in zip(texts, rows[0], strict=True)
        ], rows[1]

    texts = [text(10), text(POISON), text(12)]
    expected = fresh_engine.classify(texts)
    Fault(fresh_engine, strike)
    answers = fresh_engine.classify(texts)
    assert isinstance(answers[1], ClassifyError)
    assert answers[1].code == "not_finite"
    assert [answers[0], answers[2]] == [expected[0], expected[2]]


def test_an_id_outside_the_vocabulary_fails_alone(fresh_engine: Engine) -> None:
    answers = fresh_engine.classify([text(10), text(9_999), text(12)])
    assert [isinstance(answer, Probabilities) for answer in answers] == [True, False, True]


def test_a_kind_that_the_model_does_not_serve_fails_alone(fresh_engine: Engine) -> None:
    answers = fresh_engine.classify([text(10), text(10, kind="question")])
    assert isinstance(answers[0], Probabilities)
    assert isinstance(answers[1], ClassifyError)
    assert answers[1].code == "unknown_kind"


def test_a_bundle_must_answer_for_what_the_worker_reads(fresh_engine: Engine) -> None:
    fresh_engine.require(KINDS)
    with pytest.raises(ModelError, match="kind question"):
        fresh_engine.require([*KINDS, "question"])


def test_out_of_memory_halves_the_budget_and_answers_all_the_same(make_engine: EngineMaker) -> None:
    engine = make_engine(tokens=512)
    texts = [text(*range(10, 40)) for _ in range(40)]
    expected = engine.classify(texts)
    before = metrics.DEVICE_OUT_OF_MEMORY._value.get()

    def strike(some: Sequence[Sequence[int]], rows: Rows) -> Rows:
        if sum(map(len, some)) > 200:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")
        return rows

    fault = Fault(engine, strike)
    assert engine.classify(texts) == expected
    assert fault.struck == engine.last_call.out_of_memory > 0
    assert metrics.DEVICE_OUT_OF_MEMORY._value.get() - before == fault.struck
    assert engine.classify(texts) == expected
    assert engine.classify(texts) == expected
    assert engine.last_call.out_of_memory == 0, "halved twice, 128 tokens fit"


def test_a_text_that_does_not_fit_the_memory_alone_fails_alone(fresh_engine: Engine) -> None:
    Fault(fresh_engine, raise_for_poison(MemoryError()))
    answers = fresh_engine.classify([text(10), text(POISON)])
    assert isinstance(answers[0], Probabilities)
    assert answers[1] == ClassifyError("out_of_memory", "MemoryError")


def test_a_text_that_found_no_memory_for_a_while_is_answered(fresh_engine: Engine) -> None:
    texts = [text(10 + number) for number in range(6)]
    expected = fresh_engine.classify(texts)
    tried = 0

    def strike(some: Sequence[Sequence[int]], rows: Rows) -> Rows:
        nonlocal tried
        tried += 1
        if tried <= 11:  # six texts, halved down to each alone
            raise MemoryError
        return rows

    fault = Fault(fresh_engine, strike)
    assert fresh_engine.classify(texts) == expected
    assert (fault.struck, tried) == (11, 11 + 6)
    assert (fresh_engine.last_call.out_of_memory, fresh_engine.last_call.failed_texts) == (11, 0)


def test_a_lost_device_is_an_error_for_all(fresh_engine: Engine) -> None:
    error = RuntimeError("CUDA error: device-side assert triggered")
    fault = Fault(fresh_engine, raise_for_poison(error))
    with pytest.raises(DeviceError, match="device is lost"):
        fresh_engine.classify([text(10), text(POISON)])
    assert fault.struck == 1, "nothing more may be asked of a lost device"


@pytest.mark.parametrize("rows", [RuntimeError("could not create a primitive"), float("nan"), MemoryError()])
def test_a_device_that_fails_on_whatever_it_is_given_is_an_error_for_all(
    fresh_engine: Engine, rows: Exception | float
) -> None:
    def strike(some: Sequence[Sequence[int]], _: Rows) -> Rows:
        if isinstance(rows, Exception):
            raise rows
        return [[rows] * 5 for _ in some], 0

    fault = Fault(fresh_engine, strike)
    with pytest.raises(DeviceError, match="fails on any text"):
        fresh_engine.classify([text(10 + number) for number in range(30)])
    assert fault.struck >= 2, "the texts, and the harmless one"


def test_a_model_that_cannot_answer_a_harmless_text_does_not_start(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        PackedForward, "logits", lambda _, some: ([[float("inf")] * 5 for _ in some], len(some))
    )
    with pytest.raises(ModelError, match="harmless"):
        make_engine()


def test_a_halved_budget_comes_back() -> None:
    budget = Budget(1_000)
    budget.halve(1_000)
    budget.halve(500)
    assert budget.tokens() == 250
    assert {budget.tokens() for _ in range(64)} == {250, 500}
    assert [budget.tokens() for _ in range(200)][-1] == 1_000


def test_calls_begun_with_one_budget_halve_it_once() -> None:
    budget = Budget(1_000)
    budget.halve(1_000)
    budget.halve(1_000)
    assert budget.tokens() == 500


def test_an_interrupted_call_leaves_no_forwards_behind(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, gate = make_engine(tokens=64, lanes=1), threading.Event()
    computed: list[int] = []

    def strike(some: Sequence[Sequence[int]], rows: Rows) -> Rows:
        assert gate.wait(10)
        computed.append(len(some))
        return rows

    def interrupt(_: Call) -> None:
        raise KeyboardInterrupt

    Fault(engine, strike)
    with monkeypatch.context() as patched:
        patched.setattr(engine, "finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.classify([text(*range(10, 70)) for _ in range(20)])
    gate.set()
    engine.classify([text(10)])
    assert len(computed) <= 2, "one that had begun, and the call afterwards"


def test_the_budget_never_falls_below_what_makes_sense() -> None:
    budget = Budget(1_000)
    for _ in range(20):
        budget.halve(budget.tokens())
    assert budget.tokens() == 64


@pytest.mark.parametrize(
    ("error", "memory", "lost"),
    [
        (MemoryError(), True, False),
        (torch.OutOfMemoryError("CUDA out of memory"), True, False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True, False),
        (RuntimeError("std::bad_alloc"), True, False),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            True,
            False,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"), False, True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False, True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, False),
        (ValueError("out of memory"), False, False),
    ],
)
def test_what_an_error_means(error: Exception, memory: bool, lost: bool) -> None:
    assert (is_out_of_memory(error), is_device_lost(error)) == (memory, lost)


def test_a_call_reports_what_it_did(make_engine: EngineMaker) -> None:
    engine = make_engine(tokens=64)
    engine.classify([text(*range(10, 40)), text(10), text(*range(10, 40))])
    stats = engine.last_call
    assert (stats.forwards, stats.tokens, stats.failed_texts) == (2, 67, 0)
    assert stats.padding == (32 - 32) + (64 - 35)


def test_calls_begun_together_answer_as_calls_one_after_the_other(fresh_engine: Engine) -> None:
    parts = [[text(*range(10, 10 + length)) for length in range(start, 40, 3)] for start in (1, 2, 3)]
    expected = [fresh_engine.classify(part) for part in parts]
    begun = [fresh_engine.begin(part) for part in parts]
    for part, call, answers in zip(parts, begun, expected, strict=True):
        assert fresh_engine.finish(call) == answers
        assert fresh_engine.last_call.tokens == sum(len(one.ids) for one in part)


def test_a_lane_that_is_free_computes_the_next_call(make_engine: EngineMaker) -> None:
    engine = make_engine(lanes=2)
    meeting = threading.Barrier(2, timeout=10)

    def meet(_: Sequence[Sequence[int]], rows: Rows) -> Rows:
        meeting.wait()
        return rows

    Fault(engine, meet)
    begun = [engine.begin([text(10)]), engine.begin([text(11)])]
    assert all(isinstance(answer, Probabilities) for call in begun for answer in engine.finish(call))


def test_no_texts_need_no_forward(fresh_engine: Engine) -> None:
    assert fresh_engine.classify([]) == []
    assert fresh_engine.prepare([]) == []
    assert fresh_engine.last_call.forwards == 0


def test_either_cut_marks_a_text_truncated(fresh_engine: Engine) -> None:
    long = "w1 " * 200
    prepared = fresh_engine.prepare(
        [("review", "w1", False), ("review", "w1", True), ("review", long, False)]
    )
    assert [
        answer.truncated for answer in fresh_engine.classify(prepared) if isinstance(answer, Probabilities)
    ] == [
        False,
        True,
        True,
    ]
    assert len(prepared[2].ids) == 128


def test_the_identity_names_bundle_precision_and_normaliser(make_engine: EngineMaker) -> None:
    float32, bfloat16 = make_engine("float32"), make_engine("bfloat16")
    assert float32.digest == bfloat16.digest
    assert float32.identity != bfloat16.identity
    assert float32.identity.startswith(float32.digest)
    assert f"/n{NORMALISER_VERSION}/" in float32.identity
    assert make_engine("float32").identity == float32.identity
    assert (float32.precision, float32.packed) == ("float32", True)


def test_kernels_that_give_other_bits_have_another_identity(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make_engine("float32").identity
    compute = PackedForward.logits

    def other_kernels(self: PackedForward, texts: Sequence[Sequence[int]]) -> Rows:
        rows, padding = compute(self, texts)
        rows[-1][-1] = math.nextafter(rows[-1][-1], math.inf)
        return rows, padding

    monkeypatch.setattr(PackedForward, "logits", other_kernels)
    after = make_engine("float32").identity
    assert after != before
    assert after.rpartition("/")[0] == before.rpartition("/")[0]


@pytest.mark.parametrize("part", ["tokenise", "cut", "probabilities"])
def test_what_stands_between_text_and_answer_is_in_the_identity(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    before = make_engine("float32").identity
    if part == "tokenise":
        encode = Tokeniser.encode
        monkeypatch.setattr(
            Tokeniser, "encode", lambda self, texts: [(ids[:-1], cut) for ids, cut in encode(self, texts)]
        )
    elif part == "cut":
        monkeypatch.setattr(tokenise, "head_and_tail", lambda ids, most, **_: ids[: most - 1])
    else:
        exact = sentiment.with_neutral  # only reviews of the tiny bundle have no neutral column
        monkeypatch.setattr(sentiment, "with_neutral", lambda p, share: exact(p, share)[::-1])
    after = make_engine("float32").identity
    assert after != before
    assert after.rpartition("/")[0] == before.rpartition("/")[0]


def test_a_forward_that_ran_out_of_memory_is_let_go_before_the_next_is_tried(fresh_engine: Engine) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    held: list[int] = []
    compute = fresh_engine._forward.logits

    def logits(texts: Sequence[Sequence[int]]) -> Rows:
        held.append(sum(ref() is not None for ref in alive))
        activations = torch.zeros(8)
        alive.append(weakref.ref(activations))
        if len(texts) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(texts)

    fresh_engine._forward.logits = logits  # type: ignore[method-assign]  # the fault is injected here
    answers = fresh_engine.classify([text(10 + number) for number in range(4)])
    assert all(isinstance(answer, Probabilities) for answer in answers)
    assert held == [0] * len(held)
    assert len(held) > 4


def test_importing_the_package_does_not_import_torch() -> None:
    code = (
        "import sys, worker.classify.engine, worker.classify.importer, worker.cli.model, worker.cli.classify;"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
