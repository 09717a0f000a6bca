"""Keys: the same for the same text, different for anything that changes the answer, and useless without the secret."""

from hypothesis import given
from hypothesis import strategies as st

from worker.cache.key import KEY_BYTES, PREFIX, Namer

NAMER = Namer("bundle 0123abcd float32", b"secret")


def test_a_text_has_one_key_in_every_process_that_shares_identity_and_secret() -> None:
    key = NAMER.key("review", "很好 great")
    assert key == Namer("bundle 0123abcd float32", b"secret").key("review", "很好 great")
    assert len(key) == KEY_BYTES == 23
    assert key.startswith(PREFIX)


def test_the_key_of_a_known_text_never_changes_by_accident() -> None:
    """A change of this value empties every shared cache: make it on purpose."""
    assert Namer("identity", b"secret").key("review", "good").hex() == (
        "746c3a699e461b6d0a35a93f0b2c1776230f35d7678423"
    )


def test_whatever_changes_the_answer_or_the_secret_changes_the_key() -> None:
    keys = {
        NAMER.key("review", "good"),
        NAMER.key("title", "good"),
        NAMER.key("review", "good "),
        NAMER.key("review", "Good"),
        Namer("bundle 0123abcd bfloat16", b"secret").key("review", "good"),
        Namer("bundle 0123abcd float32", b"other").key("review", "good"),
        Namer("bundle 0123abcd float32", b"").key("review", "good"),
    }
    assert len(keys) == 7


def test_the_hash_differs_too_when_only_the_identity_does() -> None:
    """Four bytes of identity may collide among models; the hash must not."""
    one, other = (Namer(identity, b"").key("review", "good")[-16:] for identity in ("a", "b"))
    assert one != other


def test_one_models_entries_share_a_prefix_that_others_do_not_have() -> None:
    mine = {NAMER.key("review", text)[:7] for text in ("a", "b", "c")}
    assert len(mine) == 1
    assert mine != {Namer("another", b"secret").key("review", "a")[:7]}


def test_kind_and_text_cannot_be_shifted_into_each_other() -> None:
    assert NAMER.key("a", "b\0c") != NAMER.key("a\0b", "c")


def test_a_secret_longer_than_the_hash_takes_still_counts_to_its_end() -> None:
    assert Namer("m", b"x" * 100).key("review", "t") != Namer("m", b"x" * 99 + b"y").key("review", "t")


@given(st.text(), st.text())
def test_no_text_raises_and_different_texts_differ(one: str, other: str) -> None:
    assert (NAMER.key("review", one) == NAMER.key("review", other)) is (one == other)


def test_even_a_lone_surrogate_has_a_key() -> None:
    assert NAMER.key("review", "\ud800") != NAMER.key("review", "\ud801")
