"""Static int8 and the other forms of a model, on a tiny one."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.training.rows import make_rows
from training.data import Row
from training.finetune import FinetuneConfig, finetune
from training.forms import measure_forms, render
from training.static_int8 import StaticInt8Linear
from training.trainer import TrainConfig
from worker.errors import UsageError

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.onednn, "qlinear_prepack"), reason="static int8 is for x86 with oneDNN"
)


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
    forms = {
        form.name: form for form in measure_forms(folder, other_rows, make_rows(60, seed=8), max_tokens=32)
    }
    exact = forms["float32"]
    assert exact.accuracy > 0.9
    assert exact.speed == 1.0
    for form in forms.values():
        assert form.accuracy == pytest.approx(exact.accuracy, abs=0.05)
        assert form.speed > 0
    static, rows = forms["static int8, weights and activations"], forms["int8 rows, float32 arithmetic"]
    assert static.megabytes == rows.megabytes < 0.4 * exact.megabytes
    assert static.difference < 1e-3
    assert len(render(list(forms.values())).splitlines()) == 2 + len(forms)


def test_without_the_operator_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        pass

    monkeypatch.setattr(torch.ops, "onednn", Nothing())
    with pytest.raises(UsageError, match="x86"):
        StaticInt8Linear(nn.Linear(4, 4), 1.0)
