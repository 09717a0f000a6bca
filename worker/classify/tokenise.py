"""Text to token ids, with the tokenizer used directly."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from worker.errors import ModelError

_ANY_TEXT = "a 1 的"


class Tokeniser:
    """One tokenizer, for one thread: sharing it across threads raises "Already borrowed"."""

    def __init__(self, definition: bytes, max_tokens: int, truncation: str = "head_tail") -> None:
        """`definition` is the content of tokenizer.json. Raises ModelError when it is none."""
        try:
            self._tokenizer = Tokenizer.from_buffer(definition)
        except Exception as error:  # the Rust side raises plain Exception
            raise ModelError(f"tokenizer.json cannot be read: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # "[CLS]" inside a review is five characters, not a command.
        self._tokenizer.encode_special_tokens = True
        self._max_tokens = max_tokens
        self._head_only = truncation == "head"
        frame = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        if frame >= max_tokens:
            raise ModelError(f"max_tokens is {max_tokens}, and the tokenizer adds {frame} by itself")
        if not self._opens():
            raise ModelError(
                "the tokenizer adds no token in front of a text, so there is no row to classify it by",
                hint="export tokenizer.json with its post-processor",
            )

    @property
    def vocabulary(self) -> int:
        """The largest id that a text can get, and 1: rows that the embeddings must have. Builds the vocabulary anew; ask once."""
        ids = [*self._tokenizer.get_vocab(with_added_tokens=True).values(), *self._tokenizer.encode("").ids]
        return max(ids) + 1

    def encode(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        """Ids with the special tokens, at most `max_tokens`, and whether tokens were left out, for each text.

        Blocks for about 4 µs a token; releases the interpreter lock meanwhile.
        """
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=True)
        return [self._cut(encoding.ids) for encoding in encodings]

    def _opens(self) -> bool:
        """Whether the first token of a text is one that the post-processor added, and not the text's own."""
        added = self._tokenizer.encode(_ANY_TEXT, add_special_tokens=True).special_tokens_mask
        return added[:1] == [1]

    def _cut(self, ids: list[int]) -> tuple[list[int], bool]:
        if len(ids) <= self._max_tokens:
            return ids, False
        return head_and_tail(ids, self._max_tokens, head_only=self._head_only), True


def head_and_tail(ids: list[int], max_tokens: int, *, head_only: bool = False) -> list[int]:
    """At most `max_tokens` ids: the first half with the leading special token, the last half with the closing one."""
    if len(ids) <= max_tokens:
        return ids
    tail = 1 if head_only else max_tokens // 2
    return ids[: max_tokens - tail] + ids[len(ids) - tail :]
