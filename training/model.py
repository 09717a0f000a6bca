"""Encoders to train: from a folder or a hub name, with the columns of every kind, fewer layers, a smaller vocabulary."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as weights_as_bytes
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification, BertModel

from training.pretrained import read_pretrained
from training.readable import readable
from worker.classify.manifest import MANIFEST, TOKENIZER
from worker.errors import UsageError
from worker.files import is_file, is_folder

ATTENTION = "eager"
"""Plain matrix products. The backward pass of torch's fused attention on a CPU takes two fifths of a training step at the
lengths of reviews; without it a step is 1.4 (2,048 tokens) to 1.8 (1,024 tokens) times as fast."""

COLUMNS, WEIGHTS, ADAPTERS = "columns.json", "model.safetensors", "efficient.json"


@dataclass(frozen=True)
class Columns:
    """Which logit columns answer for which kind: kind -> labels, columns in that order."""

    labels: dict[str, tuple[str, ...]]

    @property
    def width(self) -> int:
        """Number of logit columns."""
        return sum(len(labels) for labels in self.labels.values())

    def labels_of(self, kind: str) -> tuple[str, ...]:
        """The labels of one kind, in the order of its columns.

        :raises UsageError: the model does not answer for that kind.
        """
        if kind not in self.labels:
            raise UsageError(
                f"the model has no head for texts of kind `{kind}`", hint=f"it knows {', '.join(self.labels)}"
            )
        return self.labels[kind]

    def of(self, kind: str, labels: Sequence[str] | None = None) -> list[int]:
        """The columns of one kind, in the order of its labels, or of ``labels``, which must be among them.

        :raises UsageError: the model does not answer for that kind.
        """
        own, kinds = self.labels_of(kind), list(self.labels)
        start = sum(len(self.labels[name]) for name in kinds[: kinds.index(kind)])
        return [start + own.index(label) for label in labels or own]


def base_files(base: str) -> Path:
    """The folder of a BERT checkpoint: the path itself, or the hub's snapshot of a name such as ``owner/model``.

    :raises UsageError: it is neither a checkpoint's folder nor a name that the hub knows, the hub cannot be reached or has no
        weights as safetensors, it lacks its weights or ``tokenizer.json``, it is another encoder than BERT, or it is a
        bundle, whose stored numbers are no weights before its scales are put to them.
    """
    path = Path(base)
    if is_folder(path):
        if is_file(path / MANIFEST):
            raise UsageError(
                f"{base} is a bundle, and its weights are stored for the worker, not to be trained on",
                hint=f"make a base of it first: `tagline train unpack {base} --out FOLDER`",
            )
        if not (path / "config.json").is_file():
            raise UsageError(
                f"{base} holds no checkpoint: it has no config.json",
                hint="give an encoder's folder, or of a run the `model` in it",
            )
        if not any(path.glob("*.safetensors")) and not any(path.glob("pytorch_model*.bin")):
            raise UsageError(
                f"{base} holds no weights: it has no *.safetensors",
                hint="copy or download the checkpoint again, whole",
            )
    else:
        path = _from_the_hub(base)
    if not (path / TOKENIZER).is_file():
        raise UsageError(
            f"{base} has no {TOKENIZER}",
            hint="load it with transformers' AutoTokenizer, and `save_pretrained` that to the folder: it writes one",
        )
    architecture = _architecture(path / "config.json")
    # Loaded as a BERT, another encoder's weights would find no place of their names, and random ones would stand there.
    if architecture != "bert":
        raise UsageError(
            f"{base} is a {architecture or 'model of no known kind'}, and only BERT encoders are trained here",
            hint="such as intfloat/multilingual-e5-small, or the shipped bundle by `tagline train unpack`",
        )
    return path


def _architecture(path: Path) -> str | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:  # that it is no UTF-8 is one, too
        raise UsageError(
            f"{path} is not JSON", hint="copy or download the checkpoint again, whole"
        ) from error
    return found.get("model_type") if isinstance(found, dict) else None


def _from_the_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        path = Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{name} is no folder, and nothing that the hub gives",
            hint="look at the path; a hub name is OWNER/NAME, and the first use of it needs the network",
        ) from error
    for needed, hint in (
        ("config.json", "give the name of an encoder"),
        (
            "*.safetensors",
            "load it with transformers, and `save_pretrained` it to a folder: that is a --base",
        ),
    ):
        if not any(path.glob(needed)):
            raise UsageError(f"{name} on the hub has no {needed}", hint=hint)
    return path


def load_tokenizer(folder: Path) -> Tokenizer:
    """The folder's tokenizer, with neither truncation nor padding: batching does both.

    :raises UsageError: the folder has no ``tokenizer.json``, or a damaged one.
    """
    path = folder / TOKENIZER
    if not path.is_file():
        raise UsageError(f"{folder} has no {TOKENIZER}")
    with readable(path):
        tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # As the worker reads text: a special piece that is written in a review is just characters.
    tokenizer.encode_special_tokens = True
    return tokenizer


def build(
    base: str,
    columns: Columns,
    *,
    layers: Sequence[int] | None = None,
    dropout: float = 0.0,
    head_dropout: float = 0.1,
    seed: int = 0,
) -> BertForSequenceClassification:
    """A classifier over the encoder in ``base``, which may have had another head, or none.

    ``layers`` picks encoder layers by index. Weights that the checkpoint lacks (pooler, classifier) are drawn by ``seed``;
    a model that was trained here goes on with its own columns (:func:`with_columns`). Attention dropout is always 0.
    Attention is :data:`ATTENTION`.

    :raises UsageError: as :func:`base_files`; a file of it is damaged, or its weights are those of another encoder.
    """
    folder = base_files(base)
    with readable(base):
        config = BertConfig.from_pretrained(folder)
    torch.manual_seed(seed)
    config.hidden_dropout_prob = dropout
    config.attention_probs_dropout_prob = 0.0
    config.classifier_dropout = head_dropout
    trained = Columns(known) if (known := labels_in(folder)) else None
    config.num_labels = (trained or columns).width
    config.architectures = ["BertForSequenceClassification"]
    model = read_pretrained(
        BertForSequenceClassification,
        folder,
        named=base,
        drawn=("bert.pooler.", "classifier."),
        config=config,
        ignore_mismatched_sizes=True,
        attn_implementation=ATTENTION,
    )
    if trained is not None:
        with_columns(model, trained, columns)
    return keep_layers(model, layers) if layers is not None else model


def keep_layers(model: BertForSequenceClassification, layers: Sequence[int]) -> BertForSequenceClassification:
    """The same model with only these encoder layers, in this order. Changes ``model``.

    :raises UsageError: there is no such layer, or one is named twice: its weights would be two layers' at once.
    """
    count = model.config.num_hidden_layers
    if not layers or any(not 0 <= layer < count for layer in layers) or len(set(layers)) < len(layers):
        raise UsageError(f"layers must be within 0..{count - 1}, once each, not {list(layers)}")
    stack = model.bert.encoder.layer
    kept = [stack[layer] for layer in layers]
    for place, layer in enumerate(kept):
        attention: Any = layer.get_submodule("attention.self")
        attention.layer_idx = place  # by which prefix tuning finds the layer's part of the prefix
    model.bert.encoder.layer = torch.nn.ModuleList(kept)
    model.config.num_hidden_layers = len(layers)
    return model


def with_columns(
    model: BertForSequenceClassification, old: Columns, new: Columns
) -> BertForSequenceClassification:
    """The same model with the columns of ``new`` instead of those of ``old``. Changes ``model``.

    A label that both know keeps its weights. A label that is new starts at logit 0, which is where a model that cannot tell
    one side from the other already is.
    """
    head = torch.nn.Linear(model.config.hidden_size, new.width)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    with torch.no_grad():
        for kind, labels in old.labels.items():
            known = [label for label in labels if label in new.labels.get(kind, ())]
            if known:
                head.weight[new.of(kind, known)] = model.classifier.weight[old.of(kind, known)]
                head.bias[new.of(kind, known)] = model.classifier.bias[old.of(kind, known)]
    model.classifier = head
    model.num_labels = model.config.num_labels = new.width
    return model


def set_dropout(model: BertForSequenceClassification, share: float, head: float) -> None:
    """Give encoder and head another dropout than they were loaded with. Changes ``model``. Attention dropout is always 0."""
    model.config.hidden_dropout_prob, model.config.classifier_dropout = share, head
    model.dropout.p = head
    model.config.attention_probs_dropout_prob = 0.0
    for name, module in model.bert.named_modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0 if name.endswith("attention.self.dropout") else share


def choose_pieces(tokenizer: Tokenizer, texts: Iterable[str], size: int) -> list[int]:
    """Piece ids to keep, ascending: special pieces, every single character that the texts use, then the most frequent.

    Only Unigram tokenizers are pruned here. Characters come first, since a text stays readable to the model as long as its
    characters are, and a rare word falls back to them.
    """
    spec = _unigram(tokenizer)
    vocab: list[list[Any]] = spec["model"]["vocab"]
    counts = [0] * len(vocab)
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        for piece in encoding.ids:
            counts[piece] += 1
    special = [
        index for index, (piece, _) in enumerate(vocab) if piece.startswith("<") and piece.endswith(">")
    ]
    single = [index for index, (piece, _) in enumerate(vocab) if len(piece.removeprefix("▁")) <= 1]
    must = set(special) | {spec["model"]["unk_id"]}
    # Unused characters rank after used pieces; ties go to the lower id, which is the likelier piece.
    ranked = (
        sorted(
            (index for index in range(len(vocab)) if index not in must),
            key=lambda index: (
                -(counts[index] + (len(vocab) if index in single_set and counts[index] else 0)),
                index,
            ),
        )
        if (single_set := set(single))
        else []
    )
    return sorted([*must, *ranked[: max(0, size - len(must))]])


def prune_tokenizer(tokenizer: Tokenizer, kept: Sequence[int]) -> Tokenizer:
    """A Unigram tokenizer with only these pieces, numbered anew in the same order."""
    spec = _unigram(tokenizer)
    vocab = spec["model"]["vocab"]
    renumbered = {old: new for new, old in enumerate(kept)}
    spec["model"]["vocab"] = [vocab[old] for old in kept]
    spec["model"]["unk_id"] = renumbered[spec["model"]["unk_id"]]
    for token in spec.get("added_tokens") or []:
        token["id"] = renumbered[token["id"]]
    post = spec.get("post_processor") or {}
    for special in (post.get("special_tokens") or {}).values():
        special["ids"] = [renumbered[old] for old in special["ids"]]
    return Tokenizer.from_str(json.dumps(spec))


def prune_embeddings(model: BertForSequenceClassification | BertModel, kept: Sequence[int]) -> None:
    """Keep only these rows of the word embeddings. Changes ``model``."""
    old = model.get_input_embeddings()
    if not isinstance(old, torch.nn.Embedding):
        raise UsageError("the encoder has no table of word embeddings")
    table = old.weight.detach()[list(kept)].clone()
    embedding = torch.nn.Embedding(len(kept), table.shape[1], padding_idx=None)
    embedding.weight = torch.nn.Parameter(table)
    model.set_input_embeddings(embedding)
    model.config.vocab_size = len(kept)


def _unigram(tokenizer: Tokenizer) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(tokenizer.to_str())
    if spec["model"].get("type") != "Unigram":
        raise UsageError("only Unigram vocabularies, such as that of E5, can be pruned")
    return spec


def save(model: BertForSequenceClassification, tokenizer: Tokenizer, columns: Columns, folder: Path) -> None:
    """Write a checkpoint that :func:`load` and plain transformers read: float32 weights, tokenizer, columns."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    write_weights(folder / WEIGHTS, model.state_dict())
    tokenizer.save(str(folder / TOKENIZER))
    (folder / COLUMNS).write_text(json.dumps(columns.labels, ensure_ascii=False))


def write_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write a file of safetensors. Its own way to a file leaves one that only its owner may read, whatever the umask."""
    path.write_bytes(
        weights_as_bytes(
            {name: value.contiguous() for name, value in weights.items()}, metadata={"format": "pt"}
        )
    )


def trained_folder(folder: Path) -> Path:
    """The folder that holds a run's model: ``model`` within a run's folder, else ``adapters``, else the folder itself."""
    inner = (folder / "model" / COLUMNS, folder / "adapters" / ADAPTERS)
    return next((path.parent for path in inner if is_file(path)), folder)


def adapters_folder(folder: Path) -> Path:
    """The folder that holds a run's adapters, of one that also left a `model` too; else the folder itself."""
    inner = folder / "adapters"
    return inner if (inner / ADAPTERS).is_file() else folder


def load(folder: Path) -> tuple[BertForSequenceClassification, Tokenizer, Columns]:
    """Read what :func:`save` wrote, in this folder or, of a run, in its ``model``.

    :raises UsageError: there is no trained model, or a damaged one.
    """
    folder = trained_folder(folder)
    if (folder / ADAPTERS).is_file():
        raise UsageError(
            f"{folder} holds adapters, which are nothing without their base",
            hint="`tagline train evaluate --base BASE` scores them",
        )
    if (folder / MANIFEST).is_file():
        raise UsageError(
            f"{folder} is a bundle, and its weights are stored for the worker",
            hint=f"make a trained model of it first: `tagline train unpack {folder} --out FOLDER`",
        )
    if not (folder / COLUMNS).is_file():
        raise UsageError(
            f"{folder} is not a trained model", hint="give the output folder of finetune or distil"
        )
    model = read_pretrained(
        BertForSequenceClassification, folder, named=folder, attn_implementation=ATTENTION
    )
    return model, load_tokenizer(folder), Columns(labels_in(folder))


def labels_in(folder: Path) -> dict[str, tuple[str, ...]]:
    """The labels of every kind that a checkpoint was trained to answer here, in column order; none of any other."""
    if not (folder / COLUMNS).is_file():
        return {}
    with readable(folder / COLUMNS):
        raw: Mapping[str, list[str]] = json.loads((folder / COLUMNS).read_text())
    return {kind: tuple(labels) for kind, labels in raw.items()}
