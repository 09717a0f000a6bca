"""What an engine answers to a few texts, as a hash: part of the identity that cached answers are named by.

Libraries choose their kernels by more than torch tells of a processor, and between a text and its answer stands more than
kernels: the tokenizer, the cut, the calibration. What the versions in the identity do not tell apart shows here.
"""

import hashlib
from collections.abc import Callable, Sequence

from worker.classify.answers import Text
from worker.classify.forward import Forward
from worker.classify.manifest import Manifest
from worker.classify.sentiment import probabilities_of

_LENGTHS = (3, 9, 33, 120)
_SPELLED = (
    "Great sound, easy to set up; it doesn't last 2 days though.",
    "质量非常好，物流也快，下次还会再来买！",
    "naïve 二手相机 500ml №5 🙂",
)
_REPEATED = "Good, 但是 not for long 2. "


def fingerprint(
    prepare: Callable[[Sequence[tuple[str, str, bool]]], list[Text]], forward: Forward, manifest: Manifest
) -> str:
    """Eight hex digits, others for another bit of any id, logit or probability. Blocks for a forward; raises what it raises.

    `prepare` is the engine's. One text of each kind is longer than the model reads; texts of made-up ids come from the whole
    vocabulary, whatever the tokenizer makes of those that are spelled.
    """
    longest = manifest.max_tokens
    texts = prepare(
        [(kind, text, False) for kind in manifest.kinds for text in (*_SPELLED, _REPEATED * longest)]
    )
    texts += [
        Text(kind, "", [(31 * number + 17 * place) % forward.vocabulary for place in range(length)], False)
        for kind in manifest.kinds
        for number, length in enumerate(_LENGTHS)
        if length <= longest
    ]
    rows, _ = forward.logits([text.ids for text in texts])
    seen = [
        (text.ids, text.truncated, row, probabilities_of(row, manifest.kinds[text.kind], text))
        for text, row in zip(texts, rows, strict=True)
    ]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:8]
