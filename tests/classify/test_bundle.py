"""A bundle on disk: checked file by file, named by its digest."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.classify.checkpoints import sign, tiny_distilbert, write_bundle
from worker.classify.answers import LABELS
from worker.classify.architecture import read_architecture
from worker.classify.bundle import default_bundle, load_bundle
from worker.classify.engine import Engine
from worker.classify.weights import dequantise, read_weights
from worker.errors import ExitCode, ModelError
from worker.settings import ModelSettings

REVIEWS = {"review": {"labels": ["negative", "positive"], "columns": [0, 1]}}
SWAPPED = {"kind": "review", "text": "w1", "label": "positive", "probabilities": [0.9, 0.06, 0.04]}
FLOAT32 = ModelSettings.model_validate({"precision": "float32", "device": "cpu"})


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy that the test may damage."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def change(folder: Path, name: str, edit: Callable[[dict[str, Any]], object], *, resign: bool = True) -> None:
    document = json.loads((folder / name).read_text())
    edit(document)
    (folder / name).write_text(json.dumps(document))
    if resign:
        sign(folder, json.loads((folder / "bundle.json").read_text()))


def test_a_sound_bundle_loads(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert loaded.manifest.name == "tiny"
    assert loaded.manifest.kinds["title"].columns == (2, 3, 4)
    assert len(loaded.digest) == 12
    assert loaded.full_digest.startswith(loaded.digest)


def test_the_shipped_bundle_is_sound_and_serves_both_kinds() -> None:
    assert set(load_bundle(default_bundle()).manifest.kinds) == {"review", "title"}


def test_the_digest_does_not_depend_on_the_layout_of_the_json(bundle: Path) -> None:
    before = load_bundle(bundle).digest
    document = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(dict(reversed(document.items())), indent=4))
    assert load_bundle(bundle).digest == before


def test_the_digest_names_calibration_and_weights(bundle: Path) -> None:
    digests = {load_bundle(bundle).digest}
    change(bundle, "bundle.json", lambda it: it["kinds"]["title"].update(temperature=1.8))
    digests.add(load_bundle(bundle).digest)
    weights = load_file(bundle / "model.safetensors")
    save_file({**weights, "classifier.bias": weights["classifier.bias"] + 1}, bundle / "model.safetensors")
    sign(bundle, json.loads((bundle / "bundle.json").read_text()))
    digests.add(load_bundle(bundle).digest)
    assert len(digests) == 3


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_that_was_changed_or_is_gone_is_refused(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[-2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256 differs"):
        load_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_bundle(bundle)


def test_a_folder_that_is_no_bundle_is_named_with_what_mends_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_bundle(tmp_path)
    assert caught.value.exit_code is ExitCode.MODEL
    assert "no bundle.json" in caught.value.message
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda it: it.update(format=2), "format 2"),
        (lambda it: it.update(normaliser=1), "normaliser 1"),
        (lambda it: it.update(name="../../etc"), "name"),
        (lambda it: it.update(max_tokens=1_000), "positions"),
        (lambda it: it.update(truncation="middle"), "truncation"),
        (lambda it: it.update(pooling="mean"), "pooling"),
        (lambda it: it["kinds"]["title"].update(labels=["LABEL_0", "LABEL_1", "LABEL_2"]), "labels"),
        (lambda it: it["kinds"]["title"].update(columns=[2, 3, 5]), "columns"),
        (lambda it: it["kinds"]["title"].update(columns=[-1, 0, 1]), "columns"),
        (lambda it: it["kinds"]["title"].update(temperature=0), "temperature"),
        (lambda it: it.update(kinds={}), "kinds"),
        (lambda it: it.update(canaries=[SWAPPED]), "canaries.0: .*label positive"),
        (lambda it: it["files"].pop("tokenizer.json"), "files"),
        (lambda it: it["files"].update({"../x.py": "0" * 64}), "files"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    bundle: Path, edit: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    change(bundle, "bundle.json", edit, resign=False)
    with pytest.raises(ModelError, match=complaint):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "key",
    [
        "auto_map",
        "_attn_implementation_internal",
        "_experts_implementation",
        "quantization_config",
        "custom_pipelines",
    ],
)
def test_a_configuration_with_a_key_off_the_list_is_refused(bundle: Path, key: str) -> None:
    change(bundle, "config.json", lambda it: it.update({key: "someone/code"}))
    with pytest.raises(ModelError, match=key):
        load_bundle(bundle)


def test_an_allowed_key_may_not_smuggle_a_nested_value(bundle: Path) -> None:
    change(bundle, "config.json", lambda it: it.update(problem_type={"a": {"b": 1}}))
    with pytest.raises(ModelError, match="problem_type"):
        load_bundle(bundle)


def test_an_unknown_model_type_is_refused(bundle: Path) -> None:
    change(bundle, "config.json", lambda it: it.update(model_type="evil"))
    with pytest.raises(ModelError, match="evil"):
        load_bundle(bundle)


@pytest.mark.parametrize("document", ["[]", "{", '"x"', "[" * 100_000])
def test_a_manifest_that_is_no_json_object_is_refused(bundle: Path, document: str) -> None:
    (bundle / "bundle.json").write_text(document)
    with pytest.raises(ModelError):
        load_bundle(bundle)


def test_a_manifest_with_half_of_a_surrogate_pair_is_refused(bundle: Path) -> None:
    change(bundle, "bundle.json", lambda manifest: manifest.update(licence="\ud800"))
    with pytest.raises(ModelError, match="surrogate pair"):
        load_bundle(bundle)


def test_int8_rows_are_multiplied_by_their_scales() -> None:
    weights = dequantise(
        {
            "a": torch.tensor([[1, -2], [3, 127]], dtype=torch.int8),
            "a.scale": torch.tensor([0.5, 2.0]),
            "b": torch.tensor([1.5], dtype=torch.float16),
        }
    )
    assert weights["a"].tolist() == [[0.5, -1.0], [6.0, 254.0]]
    assert weights["b"].tolist() == [1.5]
    assert set(weights) == {"a", "b"}


def test_int8_without_its_scales_is_refused() -> None:
    with pytest.raises(ModelError, match="no scale"):
        dequantise({"a": torch.zeros(2, 2, dtype=torch.int8)})


@pytest.mark.parametrize("kind", [torch.uint8, torch.int64, torch.bool, torch.float8_e4m3fn, torch.complex64])
def test_weights_of_another_type_are_refused(kind: torch.dtype) -> None:
    with pytest.raises(ModelError, match=str(kind).removeprefix("torch.")):
        dequantise({"a": torch.zeros(2, 2).to(kind)})


@pytest.mark.parametrize(
    ("weight", "scale"),
    [
        (torch.zeros(2, 2), torch.ones(2)),
        (torch.zeros(2, 2, dtype=torch.uint8), torch.ones(2)),
        (torch.zeros(2, 2, dtype=torch.int8), torch.ones(2, dtype=torch.int8)),
        (torch.zeros(2, dtype=torch.int8), torch.ones(2)),
    ],
)
def test_scales_are_floats_and_those_of_int8_only(weight: torch.Tensor, scale: torch.Tensor) -> None:
    with pytest.raises(ModelError, match="scale"):
        dequantise({"a": weight, "a.scale": scale})


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ModelError, match="not finite"):
        dequantise({"a": torch.tensor([1.0, float("nan")])})


def test_a_pickle_is_not_read(bundle: Path) -> None:
    torch.save({"a": torch.zeros(1)}, bundle / "model.safetensors")
    sign(bundle, json.loads((bundle / "bundle.json").read_text()))
    with pytest.raises(ModelError, match="not a safetensors file"):
        read_weights(load_bundle(bundle))


def test_weights_that_change_while_they_are_served_change_no_answer(bundle: Path) -> None:
    engine = Engine.load(FLOAT32, bundle=bundle)
    texts = engine.prepare([("title", f"w{number} w2 w3", False) for number in range(20)])
    before = engine.classify(texts)
    with (bundle / "model.safetensors").open("r+b") as file:
        file.seek(-20_000, 2)  # in place: the same file, as `cp` over it or `rsync --inplace` write
        file.write(bytes(20_000))
    assert engine.classify(texts) == before
    (bundle / "model.safetensors").write_bytes(b"")
    assert engine.classify(texts) == before


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_changes_between_the_check_and_the_loading_is_refused(bundle: Path, name: str) -> None:
    checked = load_bundle(bundle)
    (bundle / name).write_bytes((bundle / name).read_bytes().replace(b"w", b"v", 1))
    with pytest.raises(ModelError, match="SHA-256 differs"):
        checked.content(name)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("classifier.weight", None, "classifier.weight"),
        ("classifier.weight", torch.zeros(4, 32), "shape"),
        ("bert.embeddings.position_embeddings.weight", torch.zeros(100, 32), r"\[100, 32\], not \[140, 32\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    bundle: Path, key: str, value: torch.Tensor | None, complaint: str
) -> None:
    weights = load_file(bundle / "model.safetensors")
    del weights[key]
    save_file(weights if value is None else {**weights, key: value}, bundle / "model.safetensors")
    sign(bundle, json.loads((bundle / "bundle.json").read_text()))
    with pytest.raises(ModelError, match=complaint):
        Engine.load(FLOAT32, bundle=bundle)


def test_more_layers_than_the_configuration_counts_are_refused(bundle: Path) -> None:
    change(bundle, "config.json", lambda it: it.update(num_hidden_layers=1))
    with pytest.raises(ModelError, match="more layers than the 1"):
        Engine.load(FLOAT32, bundle=bundle)


def test_weights_of_another_shape_are_refused_without_a_packed_forward_too(tmp_path: Path) -> None:
    folder = write_bundle(tiny_distilbert(2), tmp_path, kinds=REVIEWS)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "classifier.weight": torch.zeros(3, 32)}, folder / "model.safetensors")
    sign(folder, json.loads((folder / "bundle.json").read_text()))
    with pytest.raises(ModelError, match="size mismatch"):
        Engine.load(FLOAT32, bundle=folder)


@pytest.mark.parametrize("value", ["x", 0, True, 2.0])
def test_a_layer_norm_without_a_small_number_is_refused(bundle: Path, value: object) -> None:
    config = json.loads((bundle / "config.json").read_text())
    with pytest.raises(ModelError, match="layer_norm_eps"):
        read_architecture({**config, "layer_norm_eps": value})


def test_mpnet_counts_its_positions_from_two() -> None:
    config = {"model_type": "mpnet", "max_position_embeddings": 514, "num_labels": 2}
    assert read_architecture(config).max_tokens == 512


@pytest.mark.parametrize("change", ["more pieces", "a gap", "a frame of its own"])
def test_a_tokenizer_of_another_model_is_refused(bundle: Path, change: str) -> None:
    document = json.loads((bundle / "tokenizer.json").read_text())
    if change == "more pieces":
        document["model"]["vocab"] |= {f"more{number}": 204 + number for number in range(10)}
    elif change == "a gap":  # as many ids as embeddings, one of them beyond
        document["model"]["vocab"]["w199"] = 204
    else:
        document["post_processor"]["special_tokens"]["</s>"]["ids"] = [204]
    (bundle / "tokenizer.json").write_text(json.dumps(document))
    sign(bundle, json.loads((bundle / "bundle.json").read_text()))
    with pytest.raises(ModelError, match="embeddings"):
        Engine.load(FLOAT32, bundle=bundle)


@pytest.mark.parametrize(("shift", "sound"), [(0.0, True), (0.2, False)])
def test_a_bundle_must_answer_its_canaries(bundle: Path, shift: float, sound: bool) -> None:
    engine = Engine.load(FLOAT32, bundle=bundle)
    answer = engine.classify(engine.prepare([("title", "w1 w2", False)]))[0]
    values = list(answer[:3])  # type: ignore[index]  # it is no error here
    values[0] += shift if values[0] < 0.5 else -shift
    label = LABELS[values.index(max(values))]
    canary = {"kind": "title", "text": "w1 \u200bw2 ", "label": label, "probabilities": values}
    change(bundle, "bundle.json", lambda it: it.update(canaries=[canary]))
    if sound:
        Engine.load(FLOAT32, bundle=bundle)
    else:
        with pytest.raises(ModelError, match="canary"):
            Engine.load(FLOAT32, bundle=bundle)
