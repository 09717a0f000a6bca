"""What names a text in the caches. Pure.

A key is 23 bytes: ``tl:``, four bytes of the engine's identity (so that an operator can find or delete one model's entries),
and a keyed BLAKE2b-128 of the identity, the kind and the normalised text. Without the secret nobody can look a text up, or
test whether a text they know was ever tagged.
"""

import hashlib

PREFIX = b"tl:"
MODEL_BYTES = 4
DIGEST_BYTES = 16
KEY_BYTES = len(PREFIX) + MODEL_BYTES + DIGEST_BYTES


class Namer:
    """Makes keys for one engine and one secret. Immutable, so callable from any thread."""

    __slots__ = ("_for_kind", "_prefix", "_start", "tag_key")

    def __init__(self, identity: str, secret: bytes) -> None:
        """`identity` is whatever changes the answers: bundle, normaliser, precision. `secret` may be empty."""
        root = hashlib.blake2b(identity.encode("utf-8"), key=_key(secret), person=b"tagline cache").digest()
        self._start = hashlib.blake2b(digest_size=DIGEST_BYTES, key=root, person=b"tagline key")
        self._prefix = PREFIX + hashlib.blake2b(identity.encode("utf-8"), digest_size=MODEL_BYTES).digest()
        self._for_kind: dict[str, hashlib.blake2b] = {}
        self.tag_key: bytes = hashlib.blake2b(root, key=_key(secret), person=b"tagline value").digest()
        """Key of the tags that values carry (:mod:`worker.cache.value`)."""

    def key(self, kind: str, text: str) -> bytes:
        """The key of one normalised text. About a microsecond."""
        started = self._for_kind.get(kind)
        if started is None:
            started = self._start.copy()
            named = kind.encode("utf-8")
            started.update(len(named).to_bytes(2, "big") + named)
            self._for_kind[kind] = started
        digest = started.copy()
        digest.update(text.encode("utf-8", "surrogatepass"))
        return self._prefix + digest.digest()


def _key(secret: bytes) -> bytes:
    """A secret of any length as a BLAKE2b key, which may have 64 bytes."""
    return secret if len(secret) <= hashlib.blake2b.MAX_KEY_SIZE else hashlib.blake2b(secret).digest()
