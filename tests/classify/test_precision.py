"""Which precision and which matrix library serve."""

import time
from collections.abc import Callable

import pytest
import torch

from worker.classify import linear, precision
from worker.classify.linear import Kernel
from worker.classify.precision import choose, decide, usable_kernel
from worker.errors import ModelError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"),
    [(2.0, 1.0, "bfloat16"), (1.0, 10.0, "float32"), (1.0, 1.0, "float32"), (1.3, 1.0, "float32")],
)
def test_bfloat16_must_be_much_faster(float32: float, bfloat16: float, chosen: str) -> None:
    assert decide({"float32": float32, "bfloat16": bfloat16}) == chosen


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
