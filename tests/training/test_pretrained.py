"""Models out of folders: whole or refused, and without transformers' own words."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import BertForMaskedLM
from transformers.utils import logging as transformers_logging

from training import model as models
from training.model import Columns
from training.pretrained import read_pretrained
from worker.errors import UsageError

COLUMNS = Columns({"review": ("negative", "positive")})


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What transformers logs meanwhile."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]  # the shortest of handlers
    transformers_logging.add_handler(handler)
    yield lines
    transformers_logging.remove_handler(handler)


def test_a_new_head_is_nothing_to_report(
    base: Path, told: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    BertForMaskedLM.from_pretrained(base)
    assert any("MISSING" in line for line in told), (
        "transformers reports nothing any more: drop what quiets it"
    )
    told.clear()
    capfd.readouterr()
    models.build(str(base), COLUMNS)
    read_pretrained(BertForMaskedLM, base, named=base, drawn=("cls.",))
    assert told == []
    assert "Loading weights" not in capfd.readouterr().err


def test_transformers_may_speak_again_afterwards(base: Path) -> None:
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    with pytest.raises(UsageError, match="base lacks"):
        read_pretrained(BertForMaskedLM, base, named="base")
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before


def test_a_trained_model_that_lost_weights_is_refused(base: Path, tmp_path: Path) -> None:
    model = models.build(str(base), COLUMNS)
    models.save(model, models.load_tokenizer(base), COLUMNS, tmp_path)
    weights = load_file(tmp_path / models.WEIGHTS)
    del weights["classifier.weight"]
    save_file(weights, tmp_path / models.WEIGHTS)
    with pytest.raises(UsageError, match=r"lacks 1 weights .*: classifier\.weight"):
        models.load(tmp_path)
