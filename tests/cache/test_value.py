"""Values: an answer comes back bit for bit, or not at all."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cache.key import Namer
from worker.cache.value import SEALED_BYTES, Remembered, pack, seal, unpack, unseal

NAMER = Namer("identity", b"secret")
KEY = NAMER.key("review", "good")
ANSWER = Remembered(*(float(np.float32(p)) for p in (0.1, 0.2, 0.7)), truncated=True)
probability = st.floats(0, 1, width=32)


def packed(answer: Remembered = ANSWER) -> bytes:
    found = pack(answer)
    assert found is not None
    return found


@given(probability, probability, st.booleans())
def test_an_answer_comes_back_bit_for_bit_from_both_tiers(a: float, b: float, truncated: bool) -> None:
    shares = (a, (1 - a) * b, 1 - a - (1 - a) * b)
    answer = Remembered(*(float(np.float32(share)) for share in shares), truncated)
    back = unseal(seal(packed(answer), KEY, NAMER.tag_key), KEY, NAMER.tag_key)
    assert back is not None
    for found in (unpack(packed(answer)), unpack(back)):
        assert [struct.pack("<d", p) for p in found[:3]] == [struct.pack("<d", p) for p in answer[:3]]
        assert found.truncated is truncated


def test_values_are_compact() -> None:
    assert len(packed()) == 13
    assert len(seal(packed(), KEY, NAMER.tag_key)) == SEALED_BYTES == 22


@pytest.mark.parametrize("wrong", [0.1, math.nan, math.inf, -0.5, 1.5, 1e300])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_would_not_come_back_the_same_is_not_packed(wrong: float, place: int) -> None:
    probabilities = [0.25, 0.25, 0.5]
    probabilities[place] = wrong
    assert pack(Remembered(*probabilities, truncated=False)) is None


def test_every_truncation_and_every_flipped_bit_is_a_miss() -> None:
    sealed = seal(packed(), KEY, NAMER.tag_key)
    assert unseal(sealed, KEY, NAMER.tag_key) == packed()
    for length in range(len(sealed)):
        assert unseal(sealed[:length], KEY, NAMER.tag_key) is None
    assert unseal(sealed + b"\0", KEY, NAMER.tag_key) is None
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        assert unseal(bytes(changed), KEY, NAMER.tag_key) is None, f"bit {bit}"


def test_a_value_moved_from_another_key_is_a_miss() -> None:
    other = NAMER.key("review", "bad")
    assert unseal(seal(packed(), other, NAMER.tag_key), KEY, NAMER.tag_key) is None


def test_a_value_made_without_the_secret_is_a_miss() -> None:
    for stranger in (Namer("identity", b""), Namer("identity", b"guess"), Namer("other", b"secret")):
        assert unseal(seal(packed(), KEY, stranger.tag_key), KEY, NAMER.tag_key) is None


@pytest.mark.parametrize(
    "poison",
    [
        struct.pack("<3f?", 2.0, 0.0, 0.0, False),
        struct.pack("<3f?", math.nan, 0.0, 1.0, False),
        struct.pack("<3f?", -0.1, 0.1, 1.0, False),
        struct.pack("<3f?", 1.0, 1.0, 1.0, False),
        struct.pack("<3f?", 0.0, 0.0, 0.0, False),
        struct.pack("<3fB", 0.0, 0.0, 1.0, 7),
    ],
)
def test_an_impossible_answer_is_a_miss_even_with_a_good_tag(poison: bytes) -> None:
    assert unseal(seal(poison, KEY, NAMER.tag_key), KEY, NAMER.tag_key) is None


@given(st.binary(max_size=64))
def test_garbage_is_a_miss(garbage: bytes) -> None:
    assert unseal(garbage, KEY, NAMER.tag_key) is None
