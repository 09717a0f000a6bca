"""Which precision and which matrix library serve."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from tests.classify.checkpoints import FAMILIES, write_bundle
from tests.classify.conftest import EngineMaker
from tests.classify.precisions import needs_int8
from worker.classify import linear, precision
from worker.classify.linear import Kernel
from worker.classify.manifest import Int8Check
from worker.classify.precision import choose, decide, usable_kernel
from worker.errors import ModelError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"),
    [(2.0, 1.0, "bfloat16"), (1.0, 10.0, "float32"), (1.0, 1.0, "float32"), (1.3, 1.0, "float32")],
)
def test_bfloat16_must_be_much_faster(float32: float, bfloat16: float, chosen: str) -> None:
    assert decide({"float32": float32, "bfloat16": bfloat16}) == chosen


@pytest.mark.parametrize(
    ("bfloat16", "int8", "chosen"),
    [(10.0, 1.0, "int8"), (10.0, 1.7, "float32"), (1.0, 0.5, "bfloat16"), (1.5, 1.0, "int8")],
)
def test_int8_must_be_faster_and_comes_behind_bfloat16(bfloat16: float, int8: float, chosen: str) -> None:
    assert decide({"float32": 2.0, "bfloat16": bfloat16, "int8": int8}) == chosen


@pytest.mark.parametrize(("bfloat16", "measured"), [(10.0, [False, True]), (1.0, [False])])
def test_int8_is_measured_where_bfloat16_brings_nothing(
    bfloat16: float, measured: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def told(
        _hidden: int, _intermediate: int, names: Sequence[str] = (), *, rows: int = 0
    ) -> dict[str, float]:
        asked.append("int8" in names)
        assert (rows > 0) == ("int8" in names)
        return {"float32": 2.0, "int8": 1.0} if "int8" in names else {"float32": 2.0, "bfloat16": bfloat16}

    monkeypatch.setattr(precision, "measure", told)
    choice = choose("auto", CPU, 64, 64, int8=True)
    assert (asked, choice.precision) == (measured, "int8" if len(measured) == 2 else "bfloat16")
    assert choose("auto", CPU, 64, 64).precision == ("float32" if len(measured) == 2 else "bfloat16")


@needs_int8
def test_auto_measures_int8_and_comes_out_the_same_each_time() -> None:
    choices = [choose("auto", CPU, 768, 3072, int8=True) for _ in range(2)]
    assert len({choice.precision for choice in choices}) == 1
    assert all(choice.precision == "bfloat16" or choice.seconds["int8"] > 0 for choice in choices)


CHECK = Int8Check(levels=63, texts=1_000, other_label=0.006, accuracy=-0.001)


@pytest.mark.parametrize(
    ("change", "levels", "allowed"),
    [
        ({}, 63, True),
        ({}, 127, True),
        ({"levels": 127}, 63, False),
        ({"texts": 999}, 63, False),
        ({"other_label": 0.011}, 63, False),
        ({"accuracy": -0.006}, 63, False),
        ({"accuracy": 0.01}, 63, True),
    ],
)
def test_a_check_allows_int8_where_it_changes_little_and_rounds_no_coarser(
    change: dict[str, float], levels: int, *, allowed: bool
) -> None:
    assert CHECK.model_copy(update=change).allows(levels) is allowed


@needs_int8
@pytest.mark.parametrize(
    ("family", "check", "served"),
    [
        ("bert", CHECK.model_dump(), "int8"),
        ("bert", CHECK.model_dump() | {"other_label": 0.02}, "float32"),
        ("bert", None, "float32"),
        ("distilbert", CHECK.model_dump(), "float32"),  # is not packed
    ],
)
def test_auto_takes_int8_for_a_bundle_that_tells_what_it_changes(
    family: str, check: dict[str, float] | None, served: str, make_engine: EngineMaker, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def told(
        _hidden: int, _intermediate: int, names: Sequence[str] = ("float32", "bfloat16"), **_: int
    ) -> dict[str, float]:
        return {name: {"float32": 2.0, "bfloat16": 9.0, "int8": 1.0}[name] for name in names}

    monkeypatch.setattr(precision, "measure", told)
    bundle = write_bundle(FAMILIES[family](5), tmp_path, **({"int8": check} if check else {}))
    assert make_engine("auto", bundle).precision == served
    assert make_engine("float32", bundle).precision == "float32"


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken_without_measuring(asked: str) -> None:
    choice = choose(asked, CPU, 64, 64)
    assert (choice.precision, choice.seconds) == (asked, {})


def test_auto_measures_and_comes_out_the_same_each_time() -> None:
    choices = [choose("auto", CPU, 384, 1536) for _ in range(4)]
    assert all(min(choice.seconds.values()) > 0 for choice in choices)
    assert len({choice.precision for choice in choices}) == 1


@pytest.mark.parametrize(("slower", "rounds"), [("bfloat16", 2), ("float32", precision._ROUNDS)])
def test_a_precision_without_hope_is_not_measured_on(
    slower: str, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = []

    def slow(weight: torch.Tensor, *_: object) -> Callable[[torch.Tensor], None]:
        def product(_rows: torch.Tensor) -> None:
            played.append(weight.dtype)
            ends = time.thread_time() + (0.01 if weight.dtype is precision.dtype_of(slower) else 0.001)
            while time.thread_time() < ends:
                pass

        return product

    monkeypatch.setattr(precision, "make_linear", slow)
    monkeypatch.setattr(precision, "usable_kernel", lambda _: Kernel.BLAS)
    assert decide(precision.measure(8, 8)) != slower
    assert played.count(torch.bfloat16) == rounds


def test_measuring_leaves_the_number_of_threads_as_it_was() -> None:
    threads = torch.get_num_threads()
    choose("auto", CPU, 64, 64)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("fault", ["absent", "wrong"])
def test_an_operator_that_is_absent_or_wrong_is_not_used(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(weight: torch.Tensor, bias: torch.Tensor, activation: str) -> object:
        if fault == "absent":
            raise RuntimeError("no such operator")
        return lambda rows: torch.full((rows.shape[0], weight.shape[0]), 7.0)

    monkeypatch.setattr(linear, "_onednn", broken)
    assert usable_kernel("float32") is Kernel.BLAS


def test_cuda_computes_in_bfloat16_and_says_so() -> None:
    assert precision.choose("auto", torch.device("cuda"), 64, 64).precision == "bfloat16"
    with pytest.raises(ModelError, match="bfloat16 only"):
        precision.choose("float32", torch.device("cuda"), 64, 64)
