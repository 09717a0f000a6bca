"""Matrix products in whole numbers."""

import json
import random
from pathlib import Path

import pytest
import torch

from tests.classify.checkpoints import FAMILIES, write_bundle
from tests.classify.conftest import EngineMaker
from tests.classify.precisions import needs_int8
from worker.classify.answers import Probabilities
from worker.classify.bundle import default_bundle, load_bundle
from worker.classify.integers import LEVELS, IntegerWeight, exact_levels, make_integer_linear
from worker.classify.normalise import normalise
from worker.classify.precision import choose
from worker.errors import ModelError

TRAINING = Path(__file__).parents[2] / "training"
pytestmark = needs_int8


def example(outputs: int = 48, inputs: int = 64, rows: int = 40) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(3)
    return torch.randn(outputs, inputs), torch.randn(outputs), torch.randn(rows, inputs)


@pytest.mark.parametrize("activation", ["", "erf", "tanh", "relu"])
@pytest.mark.parametrize("least", [None, -0.2])
def test_it_is_near_the_product_in_float32(activation: str, least: float | None) -> None:
    weight, bias, x = example()
    if least is not None:
        x = x.clamp(min=least)
    plain = torch.nn.functional.linear(x, weight, bias)
    expected = {
        "": plain,
        "erf": torch.nn.functional.gelu(plain),
        "tanh": torch.nn.functional.gelu(plain, approximate="tanh"),
        "relu": plain.relu(),
    }[activation]
    found = make_integer_linear(weight, bias, activation, least)(x)
    assert (found - expected).abs().max() < 0.02 * plain.abs().max()
    assert (found - expected).abs().max() > 0


def test_steps_above_the_least_value_are_half_as_wide() -> None:
    weight, bias, x = example(rows=400)
    x = torch.nn.functional.gelu(x)
    exact = torch.nn.functional.linear(x, weight, bias)
    around, above = (
        (make_integer_linear(weight, bias, least=least)(x) - exact).square().mean()
        for least in (None, -0.1701)
    )
    assert above < 0.5 * around


@pytest.mark.parametrize("least", [None, 0.0])
def test_a_row_has_the_same_bits_alone_and_among_loud_and_broken_neighbours(least: float | None) -> None:
    weight, bias, x = example()
    x = x.abs()
    linear = make_integer_linear(weight, bias, "erf", least)
    whole = linear(x)
    for rows in ([0], [3, 1], list(range(17)), random.Random(1).sample(range(40), 40)):
        assert torch.equal(linear(x[rows]), whole[rows])
    loud = torch.cat([x, 1e6 * x, torch.full((1, 64), torch.nan), torch.full((1, 64), torch.inf)])
    found = linear(loud)
    assert torch.equal(found[:40], whole)
    assert not torch.isfinite(found[80:]).any()


def test_rows_of_zeros_give_the_bias() -> None:
    weight, bias, _ = example()
    assert torch.equal(make_integer_linear(weight, bias)(torch.zeros(2, 64)), bias.expand(2, -1))


def test_weights_that_are_stored_as_int8_rows_lose_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(-LEVELS, LEVELS + 1, (48, 64), generator=generator, dtype=torch.int8)
    rows[:, 0] = LEVELS
    scale = torch.rand(48, generator=generator) + 0.01
    steps = torch.randint(0, 64, (40, 64), generator=generator)
    # Every row reaches the largest step, so it is rounded to what it is.
    steps[:, 0] = exact_levels()
    exact = (steps.double() @ rows.double().T) * scale.double()
    found = make_integer_linear(rows.float() * scale[:, None], torch.zeros(48))(steps.float())
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=1e-4)


def test_the_loudest_product_is_exact_with_as_many_steps_as_this_processor_is_given() -> None:
    levels = exact_levels()
    assert levels in (63, 127)
    loudest = IntegerWeight(torch.full((16, 384), LEVELS, dtype=torch.int8), torch.ones(16))
    steps = torch.full((33, 384), 2 * levels + 1, dtype=torch.uint8)
    assert torch.equal(loudest.times(steps, 0), torch.full((33, 16), 384.0 * LEVELS * (2 * levels + 1)))


def test_where_it_cannot_be_done_it_says_so(
    make_engine: EngineMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="bfloat16 only"):
        choose("int8", torch.device("cuda"), 64, 64)
    with pytest.raises(ModelError, match="int8 is for models that can be packed"):
        make_engine("int8", write_bundle(FAMILIES["distilbert"](5), tmp_path))
    monkeypatch.setattr(torch.ops, "onednn", object())
    exact_levels.cache_clear()
    try:
        with pytest.raises(ModelError, match="x86") as told:
            choose("int8", torch.device("cpu"), 64, 64)
        assert "TAGLINE_MODEL_PRECISION" in str(told.value.hint)
    finally:
        exact_levels.cache_clear()


def test_the_shipped_bundle_changes_few_labels_and_only_where_it_was_in_doubt(
    make_engine: EngineMaker,
) -> None:
    chosen: list[dict[str, str]] = []
    for name in ("titles/labelled.jsonl", "reviews/held_out.jsonl"):
        with (TRAINING / name).open(encoding="utf-8") as file:
            chosen += random.Random(2).sample([json.loads(line) for line in file], 150)
    engines = [make_engine(precision, default_bundle()) for precision in ("float32", "int8")]
    triples = [
        ("title" if index < 150 else "review", *normalise(row["text"])) for index, row in enumerate(chosen)
    ]
    exact, whole = (engine.classify(engine.prepare(triples)) for engine in engines)
    margins = []
    for one, other in zip(exact, whole, strict=True):
        assert isinstance(one, Probabilities)
        assert isinstance(other, Probabilities)
        _, second, first = sorted(one[:3])
        if one.label != other.label:
            margins.append(first - second)
    assert exact != whole
    assert len(margins) <= 9  # 3 %; half of these texts were written to be hard
    assert sum(margin > 0.2 for margin in margins) <= 1


def test_the_shipped_bundle_tells_what_int8_changes_and_auto_may_take_it() -> None:
    check = load_bundle(default_bundle()).manifest.int8
    assert check is not None
    assert check.allows(exact_levels())
