"""Fewer pieces, the same answers."""

from pathlib import Path

import torch
from typer.testing import CliRunner

from tests.training.rows import make_rows
from training import model as models
from training.cli import app
from training.data import write_rows
from training.evaluate import logits_on
from training.model import Columns
from training.runs import max_tokens_of, read_json, remember_max_tokens

COLUMNS = Columns({"review": ("negative", "positive")})


def test_a_model_and_a_base_are_cut_to_the_pieces_of_some_texts(base: Path, tmp_path: Path) -> None:
    rows = make_rows(40, seed=5)
    write_rows(tmp_path / "texts.jsonl", rows)
    trained = models.build(str(base), COLUMNS, seed=1)
    models.save(trained, models.load_tokenizer(base), COLUMNS, tmp_path / "run" / "model")
    remember_max_tokens(tmp_path / "run" / "model", 48)
    for start in (tmp_path / "run", base):
        out = tmp_path / f"cut-{start.name}"
        command = ["prune", tmp_path / "texts.jsonl", "--model", start, "--pieces", 60, "--out", out]
        result = CliRunner().invoke(app, [str(part) for part in command], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert "60 of " in result.output
        assert models.load_tokenizer(out).get_vocab_size() == 60
        assert "texts.jsonl" in read_json(out / "run.json")["inputs"]
    cut, tokenizer, columns = models.load(tmp_path / "cut-run")
    assert columns == COLUMNS
    assert max_tokens_of(tmp_path / "cut-run", None) == 48
    expected = logits_on(trained, models.load_tokenizer(base), COLUMNS, rows, max_tokens=32)
    assert (logits_on(cut, tokenizer, columns, rows, max_tokens=32) == expected).all()
    again = models.build(str(tmp_path / f"cut-{base.name}"), COLUMNS, seed=1)
    assert torch.equal(
        again.bert.encoder.layer[0].output.dense.weight, trained.bert.encoder.layer[0].output.dense.weight
    )
