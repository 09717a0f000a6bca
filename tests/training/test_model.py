import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

from tests.training.rows import make_rows
from training import model as models
from training.export import ExportConfig, export_bundle
from training.model import Columns, choose_pieces, keep_layers, prune_embeddings, prune_tokenizer
from training.pretrain import pretrain
from training.recipes.start import open_start
from training.train_config import TrainConfig
from training.vocabulary import prune_folder
from worker.errors import UsageError

BOTH = Columns({"review": ("negative", "positive"), "title": ("negative", "neutral", "positive")})


def test_columns_of_a_kind_follow_those_of_the_kinds_before() -> None:
    assert BOTH.of("title") == [2, 3, 4]
    assert BOTH.width == 5
    assert BOTH.of("title", ("positive", "negative")) == [4, 2]


def test_a_kind_that_a_model_does_not_have_is_told_beside_those_that_it_has() -> None:
    assert BOTH.labels_of("review") == ("negative", "positive")
    for ask in (BOTH.of, BOTH.labels_of):
        with pytest.raises(UsageError, match="no head for texts of kind `tweet`") as error:
            ask("tweet")
        assert error.value.hint == "it knows review, title"


def test_kept_texts_are_encoded_into_the_same_pieces(base: Path) -> None:
    tokenizer = models.load_tokenizer(base)
    texts = [row.text for row in make_rows(40, seed=5)]
    kept = choose_pieces(tokenizer, texts, 60)
    pruned = prune_tokenizer(tokenizer, kept)
    assert pruned.get_vocab_size() == 60 < tokenizer.get_vocab_size()
    for text in texts:
        before, after = tokenizer.encode(text), pruned.encode(text)
        assert after.tokens == before.tokens
        assert [kept[new] for new in after.ids] == before.ids


def test_pruned_embeddings_answer_as_the_whole_ones(base: Path) -> None:
    tokenizer = models.load_tokenizer(base)
    texts = [row.text for row in make_rows(10, seed=5)]
    kept = choose_pieces(tokenizer, texts, 60)
    pruned = prune_tokenizer(tokenizer, kept)
    whole, cut = models.build(str(base), BOTH, seed=1), models.build(str(base), BOTH, seed=1)
    prune_embeddings(cut, kept)
    whole.train(False)
    cut.train(False)
    for text in texts:
        expected = whole(input_ids=torch.tensor([tokenizer.encode(text).ids])).logits
        assert torch.equal(cut(input_ids=torch.tensor([pruned.encode(text).ids])).logits, expected)


def test_a_model_keeps_the_layers_it_is_told_to(base: Path) -> None:
    model = models.build(str(base), BOTH, seed=1)
    third = model.bert.encoder.layer[2]
    assert keep_layers(model, [0, 2]).bert.encoder.layer[1] is third
    assert model.config.num_hidden_layers == 2
    with pytest.raises(UsageError, match="within"):
        keep_layers(model, [7])


def test_a_saved_model_answers_the_same(base: Path, tmp_path: Path) -> None:
    model = models.build(str(base), BOTH, seed=1)
    model.train(False)
    models.save(model, models.load_tokenizer(base), BOTH, tmp_path)
    again, _, columns = models.load(tmp_path)
    again.train(False)
    ids = torch.tensor([[0, 5, 6, 2]])
    assert columns == BOTH
    assert torch.allclose(again(input_ids=ids).logits, model(input_ids=ids).logits, atol=1e-6)


def test_a_base_that_was_trained_goes_on_with_the_head_that_it_has(base: Path, tmp_path: Path) -> None:
    review = Columns({"review": ("negative", "positive")})
    trained = models.build(str(base), review, seed=1)
    models.save(trained, models.load_tokenizer(base), review, tmp_path)
    wider = Columns({"review": ("negative", "neutral", "positive"), "title": ("negative", "positive")})
    for layers in (None, (0, 1, 2, 3)):
        again = models.build(str(tmp_path), wider, layers=layers, seed=9)
        assert torch.equal(again.classifier.weight[[0, 2]], trained.classifier.weight)
        assert torch.equal(again.classifier.bias[[0, 2]], trained.classifier.bias)
        assert not again.classifier.weight[[1, 3, 4]].any()
        assert again.config.num_labels == 5


def test_a_run_s_folder_stands_for_the_model_in_it(base: Path, tmp_path: Path) -> None:
    model = models.build(str(base), BOTH, seed=1)
    models.save(model, models.load_tokenizer(base), BOTH, tmp_path / "run" / "model")
    again, _, columns = models.load(tmp_path / "run")
    assert columns == BOTH
    assert torch.equal(again.classifier.weight, model.classifier.weight)
    with pytest.raises(UsageError, match="not a trained model"):
        models.load(tmp_path)


@pytest.fixture
def _umask_of_a_group() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask_of_a_group")
def test_who_may_read_a_model_is_for_the_umask_to_say(base: Path, tmp_path: Path) -> None:
    models.save(models.build(str(base), BOTH), models.load_tokenizer(base), BOTH, tmp_path / "model")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()}
    assert set(modes.values()) == {0o640}, modes


def test_another_dropout_reaches_all_but_the_attention(base: Path) -> None:
    model = models.build(str(base), BOTH, dropout=0.3, head_dropout=0.1)
    models.set_dropout(model, 0.2, head=0.4)
    found = {name: module.p for name, module in model.named_modules() if isinstance(module, torch.nn.Dropout)}
    assert found.pop("dropout") == model.config.classifier_dropout == 0.4
    assert {share for name, share in found.items() if "attention.self" in name} == {0.0}
    assert {share for name, share in found.items() if "attention.self" not in name} == {0.2}
    assert model.config.hidden_dropout_prob == 0.2


def test_a_base_that_is_none_is_told_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for base, said in (
        (str(tmp_path), "holds no checkpoint"),
        (str(tmp_path / "no" / "model"), "is no folder"),
        ("runs/no/model", "is no folder"),
        ("nobody/nothing-of-this-name", "is no folder"),
    ):
        with pytest.raises(UsageError, match=said) as error:
            models.base_files(base)
        assert error.value.hint


def test_a_bundle_is_no_base_and_says_how_it_becomes_one(base: Path, tmp_path: Path) -> None:
    models.save(models.build(str(base), BOTH), models.load_tokenizer(base), BOTH, tmp_path / "run" / "model")
    config = ExportConfig("tiny", "1", 32, canaries=())
    export_bundle(tmp_path / "run", tmp_path / "bundle", config)
    for start in (
        models.base_files,
        lambda folder: models.build(folder, BOTH),
        lambda folder: prune_folder(folder, ["好"], 60, tmp_path / "cut"),
        lambda folder: pretrain(folder, make_rows(4, seed=1), tmp_path / "pre", TrainConfig()),
    ):
        with pytest.raises(UsageError, match="is a bundle") as error:
            start(str(tmp_path / "bundle"))
        assert "tagline train unpack" in str(error.value.hint)
    assert not any((tmp_path / name).exists() for name in ("cut", "pre"))


def test_a_bundle_is_no_trained_model_and_says_how_it_becomes_one(base: Path, tmp_path: Path) -> None:
    models.save(models.build(str(base), BOTH), models.load_tokenizer(base), BOTH, tmp_path / "run" / "model")
    export_bundle(tmp_path / "run", tmp_path / "bundle", ExportConfig("tiny", "1", 32, canaries=()))
    with pytest.raises(UsageError, match="is a bundle") as error:
        models.load(tmp_path / "bundle")
    assert "tagline train unpack" in str(error.value.hint)


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("tokenizer.json", r"has no tokenizer\.json"),
        ("model.safetensors", "holds no weights"),
        ("config.json", r"config\.json is not JSON"),
    ],
)
def test_a_base_that_lacks_a_part_is_refused_by_all_that_start_from_one(
    base: Path, tmp_path: Path, lacking: str, said: str
) -> None:
    shutil.copytree(base, tmp_path / "base")
    (tmp_path / "base" / lacking).unlink()
    if lacking == "config.json":
        (tmp_path / "base" / lacking).write_text('{"model_type": "bert"')
    for start in (
        open_start,
        lambda folder: models.build(folder, BOTH),
        lambda folder: prune_folder(folder, ["好"], 60, tmp_path / "cut"),
        lambda folder: pretrain(folder, make_rows(4, seed=1), tmp_path / "pre", TrainConfig()),
    ):
        with pytest.raises(UsageError, match=said) as error:
            start(str(tmp_path / "base"))
        assert error.value.hint
    assert not any((tmp_path / name).exists() for name in ("cut", "pre"))


def test_an_encoder_that_is_no_bert_is_refused_by_all_that_start_from_a_base(
    base: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "xlmr"
    config = XLMRobertaConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    XLMRobertaForMaskedLM(config).save_pretrained(foreign)
    models.load_tokenizer(base).save(str(foreign / "tokenizer.json"))
    for start in (
        lambda folder: models.build(folder, BOTH),
        lambda folder: prune_folder(folder, ["好"], 60, tmp_path / "cut"),
        lambda folder: pretrain(folder, make_rows(4, seed=1), tmp_path / "pre", TrainConfig()),
    ):
        with pytest.raises(UsageError, match="is a xlm-roberta, and only BERT") as error:
            start(str(foreign))
        assert error.value.hint
    assert not any((tmp_path / name).exists() for name in ("cut", "pre"))


def test_a_hub_s_checkpoint_without_safetensors_is_told_as_such(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(base / "config.json", tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    with pytest.raises(UsageError, match=r"has no \*\.safetensors") as error:
        models.build("owner/model", BOTH)
    assert "save_pretrained" in str(error.value.hint)
