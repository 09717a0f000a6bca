"""Any Hugging Face sequence-classification checkpoint, wrapped into a bundle.

Nothing of the checkpoint is run: weights come from safetensors only, the configuration is cut down to the allow-list, and
the labels come from the user or from id2label, never from `LABEL_0`.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.classify.answers import KINDS, ClassifyError
from worker.classify.architecture import ALLOWED_KEYS, Architecture, read_architecture
from worker.classify.bundle import Bundle, load_bundle, sha256_of_file
from worker.classify.manifest import CONFIG, FORMAT, HASHED_FILES, MANIFEST, TOKENIZER, WEIGHTS
from worker.classify.normalise import NORMALISER_VERSION, normalise
from worker.classify.star_labels import labels_given, labels_of_checkpoint
from worker.classify.vocabulary import write_tokenizer
from worker.errors import ModelError, UsageError
from worker.files import exists, is_file, is_folder

if TYPE_CHECKING:
    import torch

    from worker.classify.engine import Engine

_CANARY_TEXTS = (
    "Great sound, easy to set up, and the battery lasts all week. I love it.",
    "It stopped working after a week and they refused to give me a refund.",
    "质量非常好，物流也快，下次还会再来买！",
    "用了两天就坏了，客服还不理人，太失望了。",
)
_OLD_NAMES = ((".gamma", ".weight"), (".beta", ".bias"))
"""Layer norms of checkpoints that were converted from TensorFlow."""


@dataclass(frozen=True)
class ImportRequest:
    """What to import, and what its bundle says of itself."""

    checkpoint: str
    """A folder, or a name on the model hub (downloaded with huggingface_hub's own settings and cache)."""
    to: Path
    name: str
    kinds: Sequence[str] = KINDS
    labels: Sequence[str] = ()
    """Meaning of each column; from the checkpoint's id2label when empty."""
    max_tokens: int = 128
    version: str = "1.0.0"
    licence: str = ""


def import_checkpoint(request: ImportRequest) -> Bundle:
    """Write the bundle, load it, and give it canaries from its own answers in float32. Takes seconds.

    `to` appears only when all of it is there and answers; a folder that holds something already is refused.

    Raises:
        UsageError: the arguments do not fit the checkpoint.
        ModelError: the checkpoint cannot be served.
        OSError: a file of it may not be looked at.
    """
    _require_place(request.to)
    foreign = [kind for kind in request.kinds if kind not in KINDS]
    if foreign or not request.kinds:
        raise UsageError(
            f"no text is of the kind {', '.join(foreign) or '(none given)'}",
            hint=f"kinds are {', '.join(KINDS)}",
        )
    source = _source(request.checkpoint)
    raw = _read_config(source)
    architecture = read_architecture({key: value for key, value in raw.items() if key in ALLOWED_KEYS})
    head = _head(request, raw, architecture)
    try:
        request.to.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_make(request.to, error) from error
    with tempfile.TemporaryDirectory(dir=request.to.parent, prefix=".import-") as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        (folder / CONFIG).write_text(json.dumps(dict(architecture.config), indent=2, sort_keys=True), "utf-8")
        _write_weights(source, folder / WEIGHTS, architecture)
        write_tokenizer(source, raw, architecture, folder / TOKENIZER)
        manifest = {
            "format": FORMAT,
            "name": request.name,
            "version": request.version,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "normaliser": NORMALISER_VERSION,
            "max_tokens": min(request.max_tokens, architecture.max_tokens),
            "truncation": "head_tail",
            "pooling": "cls_pooler",
            "kinds": dict.fromkeys(request.kinds, head),
            "canaries": [],
            "evaluation": {},
            "licence": request.licence,
            "files": {name: sha256_of_file(folder / name) for name in HASHED_FILES},
        }
        _write_manifest(folder, manifest)
        _write_manifest(folder, {**manifest, "canaries": _canaries(folder, request.kinds)})
        _engine(folder).close()  # asks the canaries as a worker will: better refused here than there
        if request.to.exists():
            request.to.rmdir()
        shutil.move(folder, request.to)
    return load_bundle(request.to)


def _require_place(to: Path) -> None:
    """Raises UsageError when there is something at `to` already, or nothing can be."""
    try:
        to.stat()  # a place below a file is none, which `exists` does not tell
        is_taken = not is_folder(to) or any(to.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_make(to, error) from error
    if is_taken:
        raise UsageError(
            f"{to} is no empty folder", hint="name a new folder: a bundle is never changed in place"
        )


def _cannot_make(to: Path, error: OSError) -> UsageError:
    return UsageError(f"{to} cannot be made: {error.strerror}", hint="name a folder that this user may make")


def _source(checkpoint: str) -> Path:
    folder = Path(checkpoint).expanduser()
    if is_folder(folder):
        return folder
    if exists(folder) or checkpoint.count("/") > 1 or checkpoint.startswith((".", "/", "~")):
        raise UsageError(
            f"{checkpoint} is no folder", hint="name a checkpoint's folder, or a model on the hub"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(checkpoint, allow_patterns=["*.json", "*.txt", "*.model", WEIGHTS]))
    except Exception as error:  # its errors are many, and all mean the same here
        raise ModelError(
            f"{checkpoint} is no folder, and cannot be fetched from the model hub: {type(error).__name__}",
            hint="download the checkpoint by other means and name its folder",
        ) from error


def _read_config(source: Path) -> dict[str, Any]:
    try:
        raw = json.loads((source / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{source} has no {CONFIG} that can be read", hint="name a checkpoint's folder"
        ) from error
    if not isinstance(raw, dict):
        raise ModelError(f"{source / CONFIG} is not a JSON object")
    return raw


def _head(request: ImportRequest, raw: Mapping[str, Any], architecture: Architecture) -> dict[str, Any]:
    """The entry of `kinds`, shared by all of them."""
    columns = architecture.columns
    if raw.get("problem_type") == "regression":
        raise ModelError("the checkpoint is a regression, it gives no probabilities")
    several = raw.get("problem_type") == "multi_label_classification"
    if columns == 1 and not several and not request.labels:
        raise ModelError(
            "the checkpoint has one column and does not say of what, so it may be a regression",
            hint="if the sigmoid of it is a probability, say of what: --labels positive (or negative)",
        )
    labels = (
        labels_given(request.labels, columns)
        if request.labels
        else labels_of_checkpoint(raw.get("id2label"), columns)
    )
    return {
        "labels": list(labels),
        "columns": list(range(columns)),
        "activation": "sigmoid" if several or columns == 1 else "softmax",
        "temperature": 1.0,
    }


def _write_weights(source: Path, target: Path, architecture: Architecture) -> None:
    if not is_file(source / WEIGHTS):
        raise ModelError(
            f"{source} has no {WEIGHTS}",
            hint="other formats are not read, because a pickle runs code; save the model with safetensors first",
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save

    try:
        stored = load_file(source / WEIGHTS)
    except SafetensorError as error:
        raise ModelError(f"{source / WEIGHTS} is not a safetensors file: {error}") from error
    target.write_bytes(save(_renamed(stored, architecture)))  # its save_file lets the owner alone read


def _renamed(stored: "Mapping[str, torch.Tensor]", architecture: Architecture) -> "dict[str, torch.Tensor]":
    weights = {}
    for key, value in stored.items():
        if key.endswith(("position_ids", "token_type_ids")):
            continue  # constants of older versions
        name = key
        if architecture.model_type == "bert":
            for old, new in _OLD_NAMES:
                name = name.removesuffix(old) + new if name.endswith(old) else name
        weights[name] = value.contiguous()
    return weights


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", "utf-8")


def _canaries(folder: Path, kinds: Sequence[str]) -> list[dict[str, Any]]:
    """The new bundle's own answers; the worker then finds out when other libraries or weights answer otherwise."""
    engine = _engine(folder)
    asked = [(kind, text) for kind in kinds for text in _CANARY_TEXTS]
    answers = engine.classify(engine.prepare([(kind, *normalise(text)) for kind, text in asked]))
    engine.close()
    canaries = []
    for (kind, text), answer in zip(asked, answers, strict=True):
        if isinstance(answer, ClassifyError):
            raise ModelError(f"the checkpoint cannot classify {text!r}: {answer.detail}")
        canaries.append(
            {"kind": kind, "text": text, "label": answer.label, "probabilities": list(answer[:3])}
        )
    return canaries


def _engine(folder: Path) -> "Engine":
    from worker.classify.engine import Engine
    from worker.settings import ModelSettings

    return Engine.load(ModelSettings.model_validate({"precision": "float32", "device": "cpu"}), bundle=folder)
