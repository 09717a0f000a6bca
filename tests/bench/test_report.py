"""The table, the JSON, and what they say of the machine."""

import io

import pytest
from rich.console import Console

from worker.bench.bench import Result
from worker.bench.machine import describe_machine, describe_versions, parse_cpuinfo
from worker.bench.plan import MEASURES, make_plan
from worker.bench.report import as_json, as_table, lengths_summary, met
from worker.bench.stock import padding_share

RESULTS = [
    Result("a", 0.93, "930 / 1,000 texts/s", {"ratio": 0.93}),
    Result("e", 87.4, "p50 40 ms, p99 87 ms", {"p50_ms": 40.0, "p99_ms": 87.4}),
    Result("f", 1.05, "105 MB / 100 MB", {"ratio": 1.05}),
]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("a", 0.9, True), ("a", 0.89, False), ("f", 1.02, True), ("f", 1.03, False), ("e", 5_000, None)],
)
def test_a_target_is_met_from_the_right_side(name: str, value: float, expected: bool | None) -> None:
    assert met(MEASURES[name], value) is expected


def test_the_table_shows_each_measure_with_its_target() -> None:
    screen = Console(file=io.StringIO(), width=160)
    screen.print(as_table(RESULTS, "medians"))
    shown = screen.file.getvalue()  # type: ignore[attr-defined] # it is the StringIO above

    assert "0.930" in shown
    assert ">= 0.90" in shown
    assert "<= 1.02" in shown
    assert "87 ms" in shown


def test_the_json_holds_the_command_the_seed_and_every_result() -> None:
    plan = make_plan(only=None, texts=500, quick=True, seed=3)

    report = as_json(plan, {"machine": {"cores": 2}}, RESULTS, ["bench", "--only", "a,e", "--seed", "3"])

    assert report["command"] == "tagline bench --only a,e --seed 3"
    assert report["seed"] == 3
    assert report["machine"] == {"cores": 2}
    results = report["results"]
    assert isinstance(results, dict)
    assert results["f"]["met"] is False
    assert results["e"]["p99_ms"] == 87.4


def test_token_counts_are_summed_up() -> None:
    assert lengths_summary([10, 20, 30, 100]) == {
        "texts": 4,
        "tokens_mean": 40.0,
        "tokens_p50": 20,
        "tokens_p95": 100,
        "tokens_max": 100,
    }


def test_the_padding_share_counts_rows_of_the_longest_text_in_each_batch() -> None:
    assert padding_share([10] * 32 + [40] + [10] * 31) == pytest.approx(1 - 670 / (320 + 32 * 40))


def test_the_processor_is_read_from_linuxs_description() -> None:
    text = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512_bf16\n\nprocessor\t: 1\nmodel name\t: Other\n"

    assert parse_cpuinfo(text) == ("Some CPU", frozenset({"fpu", "avx2", "avx512_bf16"}))
    assert parse_cpuinfo("") == (None, frozenset())


def test_this_machine_and_its_versions_can_be_described() -> None:
    machine, versions = describe_machine(), describe_versions()

    assert isinstance(machine["cores"], int)
    assert machine["cpu"]
    assert versions["librdkafka"]
    assert versions["torch"]
