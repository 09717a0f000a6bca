"""A checkpoint's tokenizer.json, or one made of its vocabulary.

transformers makes it, and looks for code and settings wherever it is pointed to. So it is pointed to a folder that holds the
vocabulary's files, the checked configuration, and of the tokenizer's own configuration the plain values on a list.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.classify.architecture import Architecture
from worker.classify.manifest import CONFIG, TOKENIZER
from worker.errors import ModelError
from worker.files import is_file

_VOCABULARY = ("vocab.txt", "vocab.json", "merges.txt", "added_tokens.json", "*.model")
_SWITCHES = "do_lower_case strip_accents tokenize_chinese_chars add_prefix_space keep_accents remove_space split_by_punct"
_TOKENS = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
_FAMILIES = "Albert Bert Camembert DebertaV2 DistilBert Electra MPNet Roberta XLMRoberta"
_CLASSES = frozenset(f"{name}Tokenizer{fast}" for name in _FAMILIES.split() for fast in ("", "Fast"))
_REMEDY = f"save {TOKENIZER} into the checkpoint with the library that trained it"


def write_tokenizer(source: Path, raw: Mapping[str, Any], architecture: Architecture, target: Path) -> None:
    """Copy `source`'s tokenizer.json to `target`, or make it. `raw` is the checkpoint's parsed config.json.

    Raises:
        ModelError: there is none and none can be made, or it has far fewer pieces than the model has embeddings.
    """
    if is_file(source / TOKENIZER):
        shutil.copyfile(source / TOKENIZER, target)
    else:
        _make(source, raw, architecture, target)
    _check(target, architecture)


def _make(source: Path, raw: Mapping[str, Any], architecture: Architecture, target: Path) -> None:
    from transformers import AutoTokenizer

    settings = _settings(source, raw)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".vocabulary-") as scratch:
        folder = Path(scratch)
        for pattern in _VOCABULARY:
            for path in source.glob(pattern):
                if is_file(path):
                    shutil.copyfile(path, folder / path.name)
        (folder / CONFIG).write_text(json.dumps(dict(architecture.config)), "utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
        auto: Any = AutoTokenizer  # transformers leaves it without types
        try:
            made = auto.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            made.backend_tokenizer.save(str(target))
        except Exception as error:  # conversion fails in many ways
            raise ModelError(
                f"{source} has no {TOKENIZER}, and none can be made of its vocabulary: {error}", hint=_REMEDY
            ) from error


def _settings(source: Path, raw: Mapping[str, Any]) -> dict[str, Any]:
    """What decides how the vocabulary is used, and nothing else of it."""
    stored = {**_read(source / "special_tokens_map.json"), **_read(source / "tokenizer_config.json")}
    settings: dict[str, Any] = {
        key: stored[key] for key in _SWITCHES.split() if isinstance(stored.get(key), bool)
    }
    for key in _TOKENS:
        token = stored.get(key)
        content = token.get("content") if isinstance(token, Mapping) else token
        if isinstance(content, str):
            settings[key] = content
    name = stored.get("tokenizer_class", raw.get("tokenizer_class"))
    if name is not None:
        if str(name) not in _CLASSES:
            raise ModelError(
                f"the checkpoint has no {TOKENIZER}, and its tokenizer is of the class {name}", hint=_REMEDY
            )
        settings["tokenizer_class"] = name
    return settings


def _read(path: Path) -> dict[str, Any]:
    if not is_file(path):
        return {}
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON that can be read") from error
    return document if isinstance(document, dict) else {}


def _check(tokenizer: Path, architecture: Architecture) -> None:
    """Without its vocabulary's file transformers makes a tokenizer of special tokens only, which reads every text alike."""
    from tokenizers import Tokenizer

    try:
        pieces = Tokenizer.from_file(str(tokenizer)).get_vocab_size()
    except Exception as error:  # the Rust side raises plain Exception
        raise ModelError(
            f"the checkpoint's {TOKENIZER} cannot be read: {error}",
            hint=f"fetch it whole (a large-file pointer of a clone is a text of a few lines), or {_REMEDY}",
        ) from error
    embeddings = architecture.config.get("vocab_size")
    if isinstance(embeddings, int) and pieces < embeddings / 2:
        raise ModelError(
            f"the tokenizer has {pieces} pieces, and the model {embeddings} embeddings",
            hint=f"the checkpoint lacks {TOKENIZER} and the file of its vocabulary (vocab.txt, *.model and the like): add one",
        )
