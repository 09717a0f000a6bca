"""A model bundle on disk: found, checked file by file, named by its digest. Does not import torch."""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from worker.classify.architecture import Architecture, read_architecture
from worker.classify.manifest import CONFIG, FORMAT, HASHED_FILES, MANIFEST, Manifest
from worker.classify.normalise import NORMALISER_VERSION
from worker.errors import ModelError

DIGEST_DIGITS = 12
"""Hex digits of the digest that events, cache keys and metrics carry."""
_REMEDY = "copy or export the bundle again; `tagline model verify FOLDER` checks it"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are what its manifest says."""

    folder: Path
    manifest: Manifest
    architecture: Architecture
    full_digest: str
    """SHA-256 over the files' hashes and bundle.json's canonical form."""

    @property
    def digest(self) -> str:
        """The short form that names the model."""
        return self.full_digest[:DIGEST_DIGITS]

    def content(self, name: str) -> bytes:
        """One of the hashed files, whole: what is returned is what was hashed, and no later change of the file reaches it.

        Raises:
            ModelError: the file is gone, or no longer the one that was checked.
        """
        return _checked(self.folder / name, self.manifest.files[name])

    @property
    def stored_bytes(self) -> int:
        """Size of the files that make the model."""
        return sum((self.folder / name).stat().st_size for name in (*HASHED_FILES, MANIFEST))


def default_bundle() -> Path:
    """Folder of the bundle that is shipped with the package."""
    return Path(str(files("worker"))) / "bundles" / "default"


def load_bundle(folder: Path | None = None) -> Bundle:
    """Check a bundle's manifest, hashes and configuration; the shipped one when no folder is given. Reads every file.

    Raises:
        ModelError: with the first thing that does not fit and what mends it.
    """
    folder = folder or default_bundle()
    document = _read_json(folder, MANIFEST)
    if document.get("format") != FORMAT:
        raise ModelError(
            f"{folder / MANIFEST} has format {document.get('format')!r}; this version reads {FORMAT}",
            hint="use a bundle and a worker of the same generation",
        )
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ModelError(f"{folder / MANIFEST}: {where}: {first['msg']}", hint=_REMEDY) from error
    if manifest.normaliser != NORMALISER_VERSION:
        raise ModelError(
            f"the bundle was trained on texts of normaliser {manifest.normaliser}; this worker has {NORMALISER_VERSION}",
            hint="serve it with the version of tagline that made it, or train and export it again",
        )
    for name, expected in manifest.files.items():
        if sha256_of_file(folder / name) != expected:
            raise _differs(folder / name)
    config = _checked(folder / CONFIG, manifest.files[CONFIG])
    architecture = read_architecture(_parsed(folder / CONFIG, config))
    _check_fit(manifest, architecture)
    try:
        digest = digest_of(document)
    except UnicodeEncodeError as error:
        raise ModelError(
            f"{folder / MANIFEST} holds half of a surrogate pair, which is no text", hint=_REMEDY
        ) from error
    return Bundle(folder, manifest, architecture, digest)


def digest_of(document: dict[str, Any]) -> str:
    """The digest of a bundle from its parsed bundle.json, which holds the hashes of the other files."""
    lines = "".join(f"{name}:{sha256}\n" for name, sha256 in sorted(document["files"].items()))
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(lines.encode() + canonical.encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hex SHA-256 of a file. Raises ModelError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint=_REMEDY) from error


def _checked(path: Path, expected: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint=_REMEDY) from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise _differs(path)
    return content


def _differs(path: Path) -> ModelError:
    return ModelError(f"{path} is not the file that {MANIFEST} names: its SHA-256 differs", hint=_REMEDY)


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} is no model bundle: it has no {name}",
            hint="name a bundle's folder (TAGLINE_MODEL_BUNDLE), or make one with `tagline model import`",
        ) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint=_REMEDY) from error
    return _parsed(path, content)


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON", hint=_REMEDY) from error
    if not isinstance(document, dict):
        raise ModelError(f"{path} is not a JSON object", hint=_REMEDY)
    return document


def _check_fit(manifest: Manifest, architecture: Architecture) -> None:
    if manifest.max_tokens > architecture.max_tokens:
        raise ModelError(
            f"max_tokens is {manifest.max_tokens}, and the encoder has {architecture.max_tokens} positions",
            hint=_REMEDY,
        )
    for kind, head in manifest.kinds.items():
        outside = [column for column in head.columns if not 0 <= column < architecture.columns]
        if outside:
            raise ModelError(
                f"kind {kind!r} reads columns {outside}, and the model has {architecture.columns}",
                hint=_REMEDY,
            )
