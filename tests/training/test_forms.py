"""Static int8 and the other forms of a model, on a tiny one."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

import training.forms
from tests.classify.precisions import needs_int8
from tests.training.rows import make_rows
from training.batches import Batch, Example
from training.data import Row
from training.finetune import FinetuneConfig, finetune
from training.forms import measure_forms, render
from training.model import Columns
from training.static_int8 import StaticInt8Linear, largest_magnitude
from training.train_config import TrainConfig

pytestmark = needs_int8

ROUNDING = 2e-4
"""What batching may do to a logit of static int8: the sums between its linear layers are float32, in an order that the shape
of the batch decides, and may round an input to the next step."""


@pytest.fixture(scope="module")
def folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("forms")
    config = FinetuneConfig(
        train=TrainConfig(epochs=14, lr=2e-3, tokens_per_batch=256, precision="float32", seed=3),
        max_tokens=32,
    )
    finetune(str(base), make_rows(240, seed=1), {}, out, config)
    return out / "model"


def test_a_linear_layer_in_integers_is_near_and_the_same_in_every_batch() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 32)
    inputs = torch.randn(40, 48)
    static = StaticInt8Linear(linear, float(inputs.abs().max()))
    whole = static(inputs)
    assert (whole - linear(inputs)).abs().max() < 0.05
    for rows in ([0], [3, 1], list(range(17))):
        assert torch.equal(static(inputs[rows]), whole[rows])
    loud = torch.cat([inputs, 100 * inputs])  # a neighbour with a wide range
    assert torch.equal(static(loud)[:40], whole)


def test_every_form_answers_nearly_the_same(folder: Path, other_rows: list[Row]) -> None:
    measured = {
        form.name: form for form in measure_forms(folder, other_rows, make_rows(60, seed=8), max_tokens=32)
    }
    exact = measured["float32"]
    assert exact.accuracy > 0.9
    assert exact.speed == 1.0
    for form in measured.values():
        assert form.accuracy == pytest.approx(exact.accuracy, abs=0.05)
        assert form.speed > 0
    static, rows = measured["static int8, weights and activations"], measured["int8 rows, float32 arithmetic"]
    assert static.megabytes == rows.megabytes < 0.4 * exact.megabytes
    assert max(static.among_copies, static.among_others) < ROUNDING
    assert max(exact.among_copies, exact.among_others) < 1e-5
    table = render(list(measured.values())).splitlines()
    assert len(table) == 2 + len(measured)
    assert "among copies" in table[0]
    assert "among other texts" in table[0]


def test_ranges_of_the_batch_at_hand_would_be_noticed(
    folder: Path, other_rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = StaticInt8Linear.forward

    def dynamic(self: StaticInt8Linear, inputs: torch.Tensor) -> torch.Tensor:
        self.input_scale = float(inputs.abs().max()) / self.levels
        return stock(self, inputs)

    monkeypatch.setattr(StaticInt8Linear, "forward", dynamic)
    *_, static = measure_forms(folder, other_rows, make_rows(60, seed=8), max_tokens=32)
    assert static.among_others > 2 * ROUNDING


def test_a_text_is_compared_padded_among_others_too(
    folder: Path, other_rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    stock, padding = training.forms.collate, []

    def watch(examples: Sequence[Example], columns: Columns, *, pad_id: int) -> Batch:
        batch = stock(examples, columns, pad_id=pad_id)
        padding.append((len(examples), batch.input_ids.shape[1] - len(examples[0].ids)))
        return batch

    monkeypatch.setattr(training.forms, "collate", watch)
    measure_forms(folder, other_rows, make_rows(60, seed=8), max_tokens=32)
    assert len(padding) >= 5 * 3 * training.forms.COMPARED_TEXTS
    assert all(extra == 0 for texts, extra in padding[0::3] + padding[1::3])
    assert all(texts > 1 and extra >= 0 for texts, extra in padding[2::3])
    assert sum(extra > 0 for texts, extra in padding[2::3]) > len(padding) // 6


def test_the_calibration_rows_are_drawn_from_the_whole_file(
    folder: Path, other_rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = make_rows(60, seed=8)
    drawn: list[list[list[int]]] = []

    def watch(_model: object, examples: list[Example], *_: object, **__: object) -> None:
        drawn.append([example.ids for example in examples])

    monkeypatch.setattr(training.forms, "to_static_int8", watch)
    for _ in range(2):
        measure_forms(folder, other_rows[:10], texts, max_tokens=32, calibration_rows=20)
    assert len(drawn[0]) == 20
    assert drawn[0] == drawn[1]
    measure_forms(folder, other_rows[:10], texts[:20], max_tokens=32)
    assert drawn[2] != drawn[0]


def test_ranges_are_sampled_from_every_channel() -> None:
    # A sample of 20,000 from 640,000 inputs is each 32nd: of 32 channels always the same one, were nothing done about it.
    for loud in range(32):
        inputs = torch.zeros(20_000, 32)
        inputs[:, loud] = 1.0
        assert largest_magnitude(inputs) == 1.0
