"""Checkpoints of several families become bundles that answer as the checkpoints did."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from tests.classify.checkpoints import (
    FAMILIES,
    WORDS,
    tiny_bert,
    tiny_distilbert,
    tokenizer,
    write_checkpoint,
)
from worker.classify.engine import Engine, Probabilities
from worker.classify.importer import ImportRequest, import_checkpoint
from worker.classify.star_labels import labels_given, labels_of_checkpoint
from worker.errors import ModelError, TaglineError, UsageError
from worker.settings import ModelSettings

FLOAT32 = ModelSettings.model_validate({"precision": "float32", "device": "cpu"})
THREE = ["negative", "neutral", "positive"]


def request(checkpoint: Path, **changes: Any) -> ImportRequest:
    return ImportRequest(
        **{"checkpoint": str(checkpoint), "to": checkpoint.parent / "bundle", "name": "it", **changes}
    )


def stock_probabilities(model: torch.nn.Module, text: str) -> list[float]:
    reader = tokenizer()
    reader.no_padding()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([reader.encode(text).ids])).logits[0]
    return [float(value) for value in logits.softmax(-1)]


@pytest.mark.parametrize("family", FAMILIES)
def test_three_labels_go_through_unchanged(family: str, tmp_path: Path) -> None:
    model = FAMILIES[family](3)
    bundle = import_checkpoint(
        request(write_checkpoint(model, tmp_path / "in"), labels=["positive", "neutral", "negative"])
    )
    engine = Engine.load(FLOAT32, bundle=bundle.folder)
    assert engine.packed == (family in {"bert", "roberta"})
    for text in ("w1 w2 w3", "w9", "w100 w7 w7 w7 w50"):
        positive, neutral, negative = stock_probabilities(model, text)
        answer = engine.classify(engine.prepare([("review", text, False)]))[0]
        assert isinstance(answer, Probabilities)
        assert answer[:3] == pytest.approx((negative, neutral, positive), abs=1e-5)


def test_two_labels_get_a_neutral(tmp_path: Path) -> None:
    model = tiny_bert(2)
    bundle = import_checkpoint(
        request(write_checkpoint(model, tmp_path / "in"), labels=["negative", "positive"])
    )
    engine = Engine.load(FLOAT32, bundle=bundle.folder)
    answer = engine.classify(engine.prepare([("title", "w1 w2", False)]))[0]
    negative, positive = stock_probabilities(model, "w1 w2")
    assert isinstance(answer, Probabilities)
    assert answer.neutral == pytest.approx(min(negative, positive), abs=1e-5)
    assert answer.score == pytest.approx(positive - negative, abs=1e-5)


def test_five_stars_become_three_labels(tmp_path: Path) -> None:
    names = {"0": "1 star", **{str(star - 1): f"{star} stars" for star in range(2, 6)}}
    model = tiny_bert(5)
    bundle = import_checkpoint(request(write_checkpoint(model, tmp_path / "in", id2label=names)))
    engine = Engine.load(FLOAT32, bundle=bundle.folder)
    one, two, three, four, five = stock_probabilities(model, "w1 w2")
    answer = engine.classify(engine.prepare([("review", "w1 w2", False)]))[0]
    assert isinstance(answer, Probabilities)
    assert answer[:3] == pytest.approx((one + two, three, four + five), abs=1e-5)


def test_a_multi_label_checkpoint_gets_sigmoids(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tiny_bert(3), tmp_path / "in", problem_type="multi_label_classification")
    bundle = import_checkpoint(request(checkpoint, labels=THREE))
    assert bundle.manifest.kinds["review"].activation == "sigmoid"


def test_only_the_kinds_asked_for_are_served(tmp_path: Path) -> None:
    bundle = import_checkpoint(
        request(write_checkpoint(tiny_bert(3), tmp_path / "in"), labels=THREE, kinds=["title"])
    )
    assert set(bundle.manifest.kinds) == {"title"}


def test_the_new_bundle_holds_canaries_of_its_own(tmp_path: Path) -> None:
    bundle = import_checkpoint(request(write_checkpoint(tiny_bert(3), tmp_path / "in"), labels=THREE))
    assert {canary.kind for canary in bundle.manifest.canaries} == {"review", "title"}


def test_the_canaries_are_asked_as_the_worker_asks_them(tmp_path: Path) -> None:
    """The tokenizer tells a full-width comma from a plain one, which the worker's normaliser turns it into."""
    checkpoint = write_checkpoint(tiny_bert(3), tmp_path / "in")
    document = json.loads((checkpoint / "tokenizer.json").read_text())
    words = list(document["model"]["vocab"])
    document["model"]["vocab"] = {
        {"w1": "，", "w2": ",", "w3": "！", "w4": "!"}.get(word, word): number
        for number, word in enumerate(words)
    }
    document["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": "."},
        "behavior": "Isolated",
        "invert": False,
    }
    (checkpoint / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False))
    bundle = import_checkpoint(request(checkpoint, labels=THREE))
    assert Engine.load(FLOAT32, bundle=bundle.folder).packed


def test_kinds_that_no_text_is_of_are_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tiny_bert(3), tmp_path / "in")
    with pytest.raises(UsageError, match="reviews"):
        import_checkpoint(request(checkpoint, labels=THREE, kinds=["reviews", "title"]))


@pytest.mark.parametrize("lost", ["tokenizer", "pieces"])
def test_a_checkpoint_without_its_vocabulary_is_refused(tmp_path: Path, lost: str) -> None:
    checkpoint = write_checkpoint(tiny_bert(3), tmp_path / "in")
    path = checkpoint / "tokenizer.json"
    if lost == "tokenizer":
        path.unlink()
    else:
        document = json.loads(path.read_text())
        document["model"]["vocab"] = {word: n for n, word in enumerate(list(document["model"]["vocab"])[:8])}
        path.write_text(json.dumps(document))
    with pytest.raises(ModelError, match="embeddings"):
        import_checkpoint(request(checkpoint, labels=THREE))


def with_vocabulary_only(folder: Path, config: dict[str, Any], **settings: Any) -> Path:
    """A checkpoint of before tokenizer.json, whose vocabulary tells capitals apart."""
    checkpoint = write_checkpoint(tiny_bert(3), folder, **config)
    (checkpoint / "tokenizer.json").unlink()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Word", "word", *WORDS[:197]]
    (checkpoint / "vocab.txt").write_text("\n".join(words))
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings))
    return checkpoint


def test_of_a_checkpoint_with_a_vocabulary_only_what_is_listed_reaches_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}
    mask = {"content": "[MASK]", "__type": "AddedToken", "lstrip": True}
    checkpoint = with_vocabulary_only(
        tmp_path / "in", {**code, "_x": {"y": {}}}, **code, do_lower_case=False, mask_token=mask
    )
    (checkpoint / "evil.py").write_text("raise SystemExit(9)")
    seen: dict[str, Any] = {}
    genuine = AutoTokenizer.from_pretrained

    def from_pretrained(folder: Path, **options: Any) -> Any:
        seen.update({path.name: path.read_text() for path in folder.iterdir()})
        return genuine(folder, **options)

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", from_pretrained)
    bundle = import_checkpoint(request(checkpoint, labels=THREE))
    assert set(seen) == {"vocab.txt", "config.json", "tokenizer_config.json"}
    assert json.loads(seen["tokenizer_config.json"]) == {"do_lower_case": False, "mask_token": "[MASK]"}
    assert {"auto_map", "_x"}.isdisjoint(json.loads(seen["config.json"]))
    made = Tokenizer.from_file(str(bundle.folder / "tokenizer.json"))
    assert made.encode("Word word").tokens == ["[CLS]", "Word", "word", "[SEP]"]


@pytest.mark.parametrize("where", ["config", "settings"])
def test_a_tokenizer_of_a_class_off_the_list_is_refused(tmp_path: Path, where: str) -> None:
    foreign = {"tokenizer_class": "BertJapaneseTokenizer"}
    checkpoint = with_vocabulary_only(
        tmp_path / "in", foreign if where == "config" else {}, **(foreign if where == "settings" else {})
    )
    with pytest.raises(ModelError, match="BertJapaneseTokenizer"):
        import_checkpoint(request(checkpoint, labels=THREE))


def test_all_files_of_a_bundle_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    bundle = import_checkpoint(request(write_checkpoint(tiny_bert(3), tmp_path / "in"), labels=THREE))
    (tmp_path / "plain").touch()
    assert {path.stat().st_mode for path in bundle.folder.iterdir()} == {(tmp_path / "plain").stat().st_mode}


def test_labels_are_never_guessed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="LABEL_0") as caught:
        import_checkpoint(request(write_checkpoint(tiny_bert(3), tmp_path / "in")))
    assert "--labels" in (caught.value.hint or "")


def test_labels_in_a_list_are_no_labels(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tiny_bert(3), tmp_path / "in", id2label=THREE, num_labels=3)
    with pytest.raises(ModelError, match="LABEL_0"):
        import_checkpoint(request(checkpoint))


def test_one_column_is_a_probability_only_when_somebody_says_so(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tiny_bert(1), tmp_path / "in", id2label={"0": "positive"})
    with pytest.raises(ModelError, match="regression") as caught:
        import_checkpoint(request(checkpoint))
    assert "--labels positive" in (caught.value.hint or "")
    head = import_checkpoint(request(checkpoint, labels=["positive"])).manifest.kinds["review"]
    assert (head.labels, head.activation) == (("positive",), "sigmoid")


def test_keys_off_the_list_do_not_reach_the_bundle(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(
        tiny_bert(3), tmp_path / "in", auto_map={"AutoModel": "evil.Model"}, _extra="x"
    )
    bundle = import_checkpoint(request(checkpoint, labels=THREE))
    assert {"auto_map", "_extra"}.isdisjoint(json.loads((bundle.folder / "config.json").read_text()))


def test_names_of_older_checkpoints_are_understood(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tiny_bert(3), tmp_path / "in")
    weights = load_file(checkpoint / "model.safetensors")
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for key, value in weights.items()
    }
    old["bert.embeddings.position_ids"] = torch.arange(140)
    save_file(old, checkpoint / "model.safetensors")
    bundle = import_checkpoint(request(checkpoint, labels=THREE))
    assert set(load_file(bundle.folder / "model.safetensors")) == set(weights)


@pytest.mark.parametrize(
    "damage", ["no weights", "pickle", "no head", "regression", "no folder", "occupied", "a file", "labels"]
)
def test_what_cannot_be_imported_leaves_nothing_behind(damage: str, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(
        tiny_distilbert(2) if damage == "no head" else tiny_bert(3), tmp_path / "in"
    )
    asked: dict[str, Any] = {"labels": THREE}
    if damage == "no weights":
        (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    elif damage == "pickle":
        torch.save({}, checkpoint / "model.safetensors")
    elif damage == "no head":
        weights = load_file(checkpoint / "model.safetensors")
        save_file(
            {key: value for key, value in weights.items() if "classifier" not in key},
            checkpoint / "model.safetensors",
        )
        asked["labels"] = ["negative", "positive"]
    elif damage == "regression":
        write_checkpoint(tiny_bert(3), checkpoint, problem_type="regression")
    elif damage == "no folder":
        checkpoint = tmp_path / "nowhere" / "at" / "all"
    elif damage == "occupied":
        asked["to"] = checkpoint
    elif damage == "a file":
        asked["to"] = checkpoint / "config.json"
    else:
        asked["labels"] = ["negative", "positive"]
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(TaglineError):
        import_checkpoint(
            request(checkpoint, **asked)
            if damage != "no folder"
            else request(checkpoint, to=tmp_path / "bundle")
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["negative", "positive"], ["negative", "positive"]),
        (["POSITIVE", "Neg"], ["positive", "negative"]),
        (["1", "2", "3"], THREE),
        (["1 star", "2 stars", "3 stars", "4 stars"], ["negative", "negative", "positive", "positive"]),
        (["1", "3", "5"], THREE),
        (["5 stars", "1 star"], ["positive", "negative"]),
        (["1", "2", "4", "5"], ["negative", "negative", "positive", "positive"]),
        (["1", "1", "3", "5"], ["negative", *THREE]),
        (["3", "2", "1"], ["positive", "neutral", "negative"]),
        (["差评", "中性", "好评"], THREE),
        (["very_negative", "negative", "neutral", "positive", "very_positive"],
         ["negative", "negative", "neutral", "positive", "positive"]),
    ],
)  # fmt: skip
def test_label_names_are_understood(names: list[str], labels: list[str]) -> None:
    assert list(labels_given(names, len(names))) == labels
    assert list(labels_of_checkpoint({str(i): name for i, name in enumerate(names)}, len(names))) == labels


@pytest.mark.parametrize("names", [["joy", "anger"], ["negative"], ["LABEL_0", "LABEL_1"]])
def test_label_names_that_say_nothing_are_refused(names: list[str]) -> None:
    with pytest.raises(UsageError):
        labels_given(names, 2)
