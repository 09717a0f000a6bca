"""From a trained model's folder to a bundle that the worker serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification

from training import model as models
from training.batches import encode, positions_of
from training.calibrate import Temperature
from training.canaries import CANARIES
from training.card import render_card
from training.data import Row, file_digest
from training.finetune import pad_id_of
from training.labels import check_servable
from training.model import Columns, write_weights
from training.predict import logits_for
from training.quantise import dequantise_state, half_state, quantise_state
from training.runs import read_json, remember_max_tokens, write_json
from worker.classify.answers import Probabilities, Text
from worker.classify.manifest import (
    CONFIG,
    HASHED_FILES,
    MANIFEST,
    TOKENIZER,
    WEIGHTS,
    Int8Check,
    Manifest,
)
from worker.classify.normalise import NORMALISER_VERSION, normalise
from worker.classify.sentiment import KindHead, probabilities_of
from worker.errors import ModelError, UsageError
from worker.files import is_file

Storage = Literal["int8", "float16"]
CARD = "README.md"


@dataclass(frozen=True)
class ExportConfig:
    """What a bundle says of itself."""

    name: str
    version: str
    max_tokens: int
    storage: Storage = "int8"
    temperatures: Mapping[str, Temperature] = field(default_factory=dict)
    neutral_share: float = 0.5
    """Of kinds without a neutral label, where ``neutral_shares`` says nothing of them."""
    neutral_shares: Mapping[str, float] = field(default_factory=dict)
    licence: str = "Apache-2.0"
    canaries: Sequence[tuple[str, str, str]] = CANARIES
    int8: Int8Check | None = None
    """What :func:`training.agreement.check_int8` found."""


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle read back for evaluation: the model as it will be served, in float32."""

    model: BertForSequenceClassification
    tokenizer: Tokenizer
    columns: Columns
    manifest: dict[str, Any]


def export_bundle(
    trained: Path,
    out: Path,
    config: ExportConfig,
    *,
    evaluation: Mapping[str, Any] | None = None,
    origin: str = "",
) -> dict[str, Any]:
    """Write the bundle and return its manifest. The canaries' answers come from the stored (quantised) weights, and nothing
    in ``out`` changes before they are right.

    :raises UsageError: as :func:`check_export`.
    :raises ModelError: a canary of a kind that the model knows does not get its expected label.
    """
    model, tokenizer, columns = models.load(trained)
    check_export(columns, config, positions=positions_of(model))
    state = {name: value for name, value in model.state_dict().items() if not name.endswith("position_ids")}
    stored = quantise_state(state) if config.storage == "int8" else half_state(state)
    model.load_state_dict(dequantise_state(stored), strict=False)
    manifest = _manifest(columns, config)
    manifest["canaries"] = _answered_canaries(model, tokenizer, columns, manifest["kinds"], config)
    manifest["evaluation"] = dict(evaluation or {})
    _check_manifest(manifest)
    out.mkdir(parents=True, exist_ok=True)
    write_weights(out / WEIGHTS, stored)
    _write_config(model, out / CONFIG)
    tokenizer.save(str(out / TOKENIZER), pretty=False)
    manifest["files"] = {name: file_digest(out / name) for name in HASHED_FILES}
    write_json(out / MANIFEST, manifest)
    size = sum((out / name).stat().st_size for name in (*HASHED_FILES, MANIFEST))
    (out / CARD).write_text(
        render_card(manifest, size, int(model.config.num_hidden_layers), origin), encoding="utf-8"
    )
    return manifest


def check_export(columns: Columns, config: ExportConfig, *, positions: int) -> None:
    """Raise unless a model with these columns and so many positions may become this bundle; hours of training may lie between.

    :raises UsageError: the worker cannot serve the model's labels or refuses the bundle's name or version, or the model has fewer
        positions than ``max_tokens``.
    """
    check_servable(columns.labels)
    if config.max_tokens > positions:
        raise UsageError(
            f"the bundle shall read {config.max_tokens} tokens, and the encoder has {positions} positions",
            hint=f"give --max-tokens {positions}, or fewer",
        )
    _check_manifest(_manifest(columns, config))


def _manifest(columns: Columns, config: ExportConfig) -> dict[str, Any]:
    """What ``bundle.json`` holds before there are canaries, scores and files."""
    return {
        "format": 1,
        "name": config.name,
        "version": config.version,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "normaliser": NORMALISER_VERSION,
        "max_tokens": config.max_tokens,
        "truncation": "head_tail",
        "pooling": "cls_pooler",
        "kinds": {kind: _kind_entry(kind, columns, config) for kind in columns.labels},
        "canaries": [],
        **({"int8": config.int8.model_dump()} if config.int8 else {}),
        "evaluation": {},
        "card": CARD,
        "licence": config.licence,
        "files": dict.fromkeys(HASHED_FILES, "0" * 64),
    }


def _check_manifest(manifest: Mapping[str, Any]) -> None:
    """Raise unless the worker reads this manifest.

    :raises UsageError: with the first value that it refuses.
    """
    try:
        Manifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(
            f"no worker would load this bundle: {'.'.join(map(str, first['loc']))} is {first['input']!r} ({first['msg']})",
            hint="a name has up to 100 letters, digits, dots, hyphens and underscores, a version 1 to 50 characters",
        ) from error


def _answered_canaries(
    model: BertForSequenceClassification,
    tokenizer: Tokenizer,
    columns: Columns,
    kinds: Mapping[str, Mapping[str, Any]],
    config: ExportConfig,
) -> list[dict[str, Any]]:
    """The canaries of the kinds that the model knows, with its answers.

    :raises ModelError: one does not get its expected label.
    """
    known = [canary for canary in config.canaries if canary[0] in columns.labels]
    rows = [Row(text, None, kind) for kind, text, _ in known]
    answers = three_label_probabilities(model, tokenizer, columns, rows, kinds, max_tokens=config.max_tokens)
    canaries = []
    for (kind, text, expected), answer in zip(known, answers, strict=True):
        if answer.label != expected:
            raise ModelError(
                f"canary {text!r} ({kind}) is {answer.label}, not {expected}",
                hint="train longer, or look at the data",
            )
        probabilities = [round(share, 6) for share in answer[:3]]
        canaries.append({"kind": kind, "text": text, "label": answer.label, "probabilities": probabilities})
    return canaries


def _kind_entry(kind: str, columns: Columns, config: ExportConfig) -> dict[str, Any]:
    labels, temperature = columns.labels[kind], config.temperatures.get(kind, Temperature())
    entry: dict[str, Any] = {
        "labels": list(labels),
        "columns": columns.of(kind),
        "activation": "softmax",
        "temperature": temperature.other,
    }
    if temperature.han is not None:
        entry["temperature_han"] = temperature.han
    if "neutral" not in labels:
        entry["neutral_share"] = config.neutral_shares.get(kind, config.neutral_share)
    return entry


def _write_config(model: BertForSequenceClassification, path: Path) -> None:
    """The plain transformers configuration, without what only training needs."""
    config = BertConfig.from_dict(model.config.to_dict())
    config.architectures = ["BertForSequenceClassification"]
    config.to_json_file(str(path), use_diff=True)


def three_label_probabilities(
    model: BertForSequenceClassification,
    tokenizer: Tokenizer,
    columns: Columns,
    rows: Sequence[Row],
    kinds: Mapping[str, Mapping[str, Any]],
    *,
    max_tokens: int,
) -> list[Probabilities]:
    """The answer to every row by the bundle's rules, from a plain forward in float32. Blocks.

    :raises ModelError: the model's results for a row are not numbers.
    """
    heads = {kind: KindHead.model_validate(entry) for kind, entry in kinds.items()}
    examples = encode(rows, tokenizer, columns, max_tokens=max_tokens)
    answers = []
    for row, logits in zip(
        rows, logits_for(model, examples, columns, pad_id=pad_id_of(tokenizer)), strict=True
    ):
        text = Text(row.kind, normalise(row.text).text, (), truncated=False)
        answer = probabilities_of(logits.tolist(), heads[row.kind], text)
        if not isinstance(answer, Probabilities):
            raise ModelError(
                f"{row.text!r} ({row.kind}): {answer.detail}", hint="train with a lower learning rate"
            )
        answers.append(answer)
    return answers


def unpack(loaded: LoadedBundle, out: Path) -> None:
    """Write a bundle's model to ``out`` as a trained one, with float32 weights: a base, a teacher, or a model to score."""
    models.save(loaded.model, loaded.tokenizer, loaded.columns, out)
    # Last: who finds it may take the rest as whole.
    remember_max_tokens(out, int(loaded.manifest["max_tokens"]))


def load_bundle(folder: Path) -> LoadedBundle:
    """Read a bundle that :func:`export_bundle` wrote, for a look at its weights; scores come from :mod:`training.scorer`.

    :raises ModelError: a file of the bundle is missing or is not the one that the manifest names, or the bundle reads its
        columns in a way that only the worker knows (``tagline model import``).
    """
    if not is_file(folder / MANIFEST):
        raise ModelError(f"{folder} holds no bundle.json")
    manifest = read_json(folder / MANIFEST)
    for name, digest in manifest["files"].items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise ModelError(f"{name} of the bundle is missing or changed")
    config = BertConfig.from_json_file(str(folder / CONFIG))
    model = BertForSequenceClassification(config)
    missing, unexpected = model.load_state_dict(
        dequantise_state(load_file(str(folder / WEIGHTS))), strict=False
    )
    if unexpected or [name for name in missing if not name.endswith("position_ids")]:
        raise ModelError(f"the weights do not fit the configuration: {missing or unexpected}")
    columns = Columns({kind: tuple(entry["labels"]) for kind, entry in manifest["kinds"].items()})
    for kind, entry in manifest["kinds"].items():
        if entry["columns"] != columns.of(kind) or entry.get("activation", "softmax") != "softmax":
            raise ModelError(
                f"the bundle was not exported here: its kind `{kind}` has columns or an activation of its own",
                hint="`tagline train evaluate` and `report` score it as the worker does",
            )
    return LoadedBundle(model.train(False), models.load_tokenizer(folder), columns, manifest)
