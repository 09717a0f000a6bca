"""What is remembered of a text, packed for the process and sealed for Redis. Pure.

In the process an answer is 13 bytes: three float32 and a flag. In Redis it is 22: a version, the same 13, and a keyed tag
of 8 bytes over key and answer. Whatever is not exactly that (cut short, another program's value, one key's value under
another key, or one written by somebody without the secret) is a miss.
"""

import hashlib
import hmac
import struct
from typing import NamedTuple

VERSION = 1
_ANSWER = struct.Struct("<3f?")
_TAG_BYTES = 8
ANSWER_BYTES = _ANSWER.size
SEALED_BYTES = 1 + ANSWER_BYTES + _TAG_BYTES
_SLACK = 1e-5
"""Three probabilities rounded to float32 add up to 1 within 1e-7; room for a model that sums its columns in another order."""
_VERSION_BYTE = bytes([VERSION])


class Remembered(NamedTuple):
    """The model's answer for one text. The probabilities are float32 values, so that packing them changes nothing."""

    negative: float
    neutral: float
    positive: float
    truncated: bool


def pack(answer: Remembered) -> bytes | None:
    """13 bytes; None for an answer that would not come back the same (not float32, not a probability)."""
    try:
        packed = _ANSWER.pack(*answer)
    except (OverflowError, struct.error):
        return None
    return packed if _ANSWER.unpack(packed) == answer and _are_probabilities(answer) else None


def unpack(packed: bytes) -> Remembered:
    """The answer in 13 bytes that ``pack`` made."""
    return Remembered._make(_ANSWER.unpack(packed))


def seal(packed: bytes, key: bytes, tag_key: bytes) -> bytes:
    """The value to store in Redis under `key`."""
    body = _VERSION_BYTE + packed
    return body + _tag(body, key, tag_key)


def unseal(sealed: bytes, key: bytes, tag_key: bytes) -> bytes | None:
    """The 13 bytes inside a value that Redis returned for `key`; None unless it is exactly what ``seal`` made."""
    if len(sealed) != SEALED_BYTES or sealed[0] != VERSION:
        return None
    body, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(body, key, tag_key)):
        return None
    packed = body[1:]
    if packed[-1] > 1 or not _are_probabilities(unpack(packed)):
        return None  # without a secret anybody can make tags, but not an impossible answer
    return packed


def _tag(body: bytes, key: bytes, tag_key: bytes) -> bytes:
    return hashlib.blake2b(key + body, digest_size=_TAG_BYTES, key=tag_key).digest()


def _are_probabilities(answer: Remembered) -> bool:
    """All in [0, 1], which NaN is not, and together 1 as far as float32 can tell."""
    negative, neutral, positive, _ = answer
    return (
        0.0 <= negative <= 1.0
        and 0.0 <= neutral <= 1.0
        and 0.0 <= positive <= 1.0
        and abs(negative + neutral + positive - 1.0) < _SLACK
    )
