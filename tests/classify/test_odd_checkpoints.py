"""Checkpoints with damaged files or values that no library takes: an error of the model's with what is wrong, no bug of ours."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.classify.checkpoints import tiny_bert, tiny_distilbert, write_checkpoint
from worker.classify.architecture import read_architecture
from worker.classify.importer import ImportRequest, import_checkpoint
from worker.errors import ModelError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 439101\n"


def refused(checkpoint: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        import_checkpoint(
            ImportRequest(
                str(checkpoint),
                checkpoint.parent / "bundle",
                "it",
                labels=["negative", "neutral", "positive"],
            )
        )
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]
    return caught.value


@pytest.mark.parametrize("content", [POINTER, "", "{}", '{"version": "1.0", "model": 5}'])
def test_a_tokenizer_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path, content: str) -> None:
    folder = write_checkpoint(tiny_bert(3), tmp_path / "in")
    (folder / "tokenizer.json").write_text(content, "utf-8")
    error = refused(folder)
    assert "the checkpoint's tokenizer.json cannot be read" in error.message
    assert "fetch it whole" in str(error.hint)


def test_a_folder_in_place_of_the_vocabulary_is_none(tmp_path: Path) -> None:
    folder = write_checkpoint(tiny_bert(3), tmp_path / "in")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").mkdir()
    assert "tokenizer" in refused(folder).message


def test_a_configuration_of_a_hundred_thousand_brackets_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tiny_bert(3), tmp_path / "in")
    (folder / "config.json").write_text("[" * 100_000, "utf-8")
    assert "config.json that can be read" in refused(folder).message


@pytest.mark.parametrize(
    ("make", "key", "value"),
    [
        (tiny_distilbert, "dim", 33),
        (tiny_distilbert, "n_heads", "four"),
        (tiny_distilbert, "activation", "quickest"),
        (tiny_distilbert, "dtype", "float33"),
        (tiny_distilbert, "max_position_embeddings", 10**12),
        (tiny_distilbert, "pad_token_id", "first"),
        (tiny_bert, "hidden_act", "quickest"),
        (tiny_bert, "hidden_act", 7),
        (tiny_bert, "add_cross_attention", True),
    ],
)
def test_values_that_make_no_model_are_refused_with_the_library_s_words(
    tmp_path: Path, make: Callable[..., Any], key: str, value: object
) -> None:
    folder = write_checkpoint(make(3), tmp_path / "in", **{key: value})
    error = refused(folder)
    assert error.message.startswith("config.json makes no ")
    assert error.hint


@pytest.mark.parametrize(
    "change", [{"model_type": []}, {"model_type": {}}, {"hidden_act": []}, {"hidden_act": {}}]
)
def test_a_list_where_a_name_belongs_is_not_looked_up(change: dict[str, object], tmp_path: Path) -> None:
    config = json.loads((write_checkpoint(tiny_bert(3), tmp_path / "in") / "config.json").read_bytes())
    if "model_type" in change:
        with pytest.raises(ModelError, match="is not supported"):
            read_architecture({**config, **change})
    else:
        assert read_architecture({**config, **change}).why_not_packed is not None
