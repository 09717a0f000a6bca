"""What a bundle's config.json may say, and what the packed forward needs to know of it.

A configuration is data from strangers: keys of it have made transformers import code that the author chose
(CVE-2026-4372 is one such case). So every key must be on a list, every value plain, and no file of a bundle is ever read
by `from_pretrained`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import ModelError

PACKED_TYPES = frozenset({"bert", "camembert", "roberta", "xlm-roberta"})
FALLBACK_TYPES = frozenset({"albert", "deberta-v2", "distilbert", "electra", "mpnet"})
ACTIVATIONS = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "relu": "relu"}
LEAST_ACTIVATED = {"erf": -0.1701, "tanh": -0.1701, "relu": 0.0}
"""What no result of the activation is below. GELU is least near -0.75: -0.16998 by erf, -0.17005 by tanh."""

_ENCODER_KEYS = (
    "architectures model_type dtype torch_dtype transformers_version id2label label2id num_labels problem_type vocab_size "
    "hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act hidden_dropout_prob "
    "attention_probs_dropout_prob max_position_embeddings type_vocab_size layer_norm_eps initializer_range "
    "classifier_dropout position_embedding_type pad_token_id bos_token_id eos_token_id cls_token_id sep_token_id "
    "unk_token_id mask_token_id tie_word_embeddings use_cache is_decoder is_encoder_decoder add_cross_attention "
    "cross_attention_hidden_size gradient_checkpointing output_past directionality pooler_fc_size "
    "pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type"
)
_FALLBACK_KEYS = (
    "dim n_layers n_heads hidden_dim dropout attention_dropout activation seq_classif_dropout qa_dropout "
    "sinusoidal_pos_embds tie_weights_ embedding_size summary_type summary_use_proj summary_activation "
    "summary_last_dropout num_hidden_groups inner_group_num down_scale_factor gap_size net_structure_type "
    "num_memory_blocks layers_to_keep classifier_dropout_prob relative_attention position_buckets norm_rel_ebd "
    "share_att_key pos_att_type max_relative_positions position_biased_input pooler_dropout pooler_hidden_act "
    "pooler_hidden_size relative_attention_num_buckets legacy"
)
ALLOWED_KEYS = frozenset(_ENCODER_KEYS.split()) | frozenset(_FALLBACK_KEYS.split())


@dataclass(frozen=True)
class Architecture:
    """The shape of an encoder with a classification head."""

    config: Mapping[str, Any]
    """The checked configuration itself, for the fallback."""
    model_type: str
    columns: int
    """Logits per text."""
    max_tokens: int
    """Longest sequence that has positions."""
    why_not_packed: str | None
    """Why the packed forward cannot run it; None when it can. The fields below hold only then."""
    hidden: int = 0
    layers: int = 0
    heads: int = 0
    intermediate: int = 0
    activation: str = ""
    """`erf` or `tanh` (both GELU), or `relu`."""
    layer_norm_eps: float = 1e-12
    first_position: int = 0
    """Position id of the first token: RoBERTa counts from the padding id + 1."""


def read_architecture(config: Mapping[str, Any]) -> Architecture:
    """Check a parsed config.json and take from it what the forward needs. Pure.

    Raises:
        ModelError: an unknown key or model type, or values that no encoder of that type can have.
    """
    unknown = sorted(set(config) - ALLOWED_KEYS)
    if unknown:
        raise ModelError(
            f"config.json has keys that are not on the allow-list: {', '.join(unknown)}",
            hint="`tagline model import` keeps only those that are",
        )
    strange = sorted(key for key, value in config.items() if not _is_plain(value))
    if strange:
        raise ModelError(f"config.json nests more than a plain value under: {', '.join(strange)}")
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in PACKED_TYPES | FALLBACK_TYPES:
        known = ", ".join(sorted(PACKED_TYPES | FALLBACK_TYPES))
        raise ModelError(f"the model type {model_type!r} is not supported", hint=f"supported are: {known}")
    columns = _columns(config)
    max_tokens = _whole(config, "max_position_embeddings")
    if model_type == "mpnet":
        max_tokens -= 2  # counts positions from 2
    if model_type in FALLBACK_TYPES:
        return Architecture(config, model_type, columns, max_tokens, f"{model_type} has no packed forward")
    first_position = 0 if model_type == "bert" else _whole(config, "pad_token_id", least=0) + 1
    hidden, heads = _whole(config, "hidden_size"), _whole(config, "num_attention_heads")
    if hidden % heads:
        raise ModelError(f"config.json: hidden_size {hidden} is not a multiple of {heads} heads")
    return Architecture(
        config=config,
        model_type=model_type,
        columns=columns,
        max_tokens=max_tokens - first_position,
        why_not_packed=_why_not_packed(config),
        hidden=hidden,
        layers=_whole(config, "num_hidden_layers"),
        heads=heads,
        intermediate=_whole(config, "intermediate_size"),
        activation=ACTIVATIONS.get(str(config.get("hidden_act", "gelu")), ""),
        layer_norm_eps=_layer_norm_eps(config),
        first_position=first_position,
    )


def _why_not_packed(config: Mapping[str, Any]) -> str | None:
    if str(config.get("hidden_act", "gelu")) not in ACTIVATIONS:
        return f"its activation is {config.get('hidden_act')}"
    if config.get("position_embedding_type", "absolute") != "absolute":
        return f"its positions are {config.get('position_embedding_type')}"
    if config.get("is_decoder") or config.get("add_cross_attention"):
        return "it is a decoder"
    return None


def _columns(config: Mapping[str, Any]) -> int:
    names = config.get("id2label")
    columns = len(names) if isinstance(names, Mapping) else config.get("num_labels", 2)
    if not isinstance(columns, int) or columns < 1:
        raise ModelError(f"config.json: {columns!r} is no number of labels")
    return columns


def _layer_norm_eps(config: Mapping[str, Any]) -> float:
    value = config.get("layer_norm_eps", 1e-12)
    if not isinstance(value, float | int) or isinstance(value, bool) or not 0 < value < 1:
        raise ModelError(f"config.json: layer_norm_eps {value!r} is no small number")
    return float(value)


def _whole(config: Mapping[str, Any], key: str, *, least: int = 1) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ModelError(f"config.json: {key} is {value!r}, not a whole number from {least}")
    return value


def _is_plain(value: object) -> bool:
    """A scalar, or one level of scalars."""
    if isinstance(value, Mapping):
        return all(isinstance(entry, str | int | float | bool | None) for entry in value.values())
    if isinstance(value, list):
        return all(isinstance(entry, str | int | float | bool | None) for entry in value)
    return isinstance(value, str | int | float | bool | None)
