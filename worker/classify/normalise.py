"""One spelling for each text, in bounded time.

What the model sees, what the cache is keyed by and what training learned from is the result of :func:`normalise`, so a
change here is a change of the model: bump ``NORMALISER_VERSION``, which every bundle records.
"""

import re
import unicodedata
from typing import NamedTuple

from worker.characters import INVISIBLE
from worker.traditional import TO_SIMPLIFIED, TRADITIONAL

NORMALISER_VERSION = 3

MAX_CHARACTERS = 2_000
"""Longest result. A model of 128 tokens reads 200 to 700 characters, so this cuts nothing that it would have read."""

_RAW_FACTOR = 16
"""Characters looked at, per character of the result's cap: room for markup of invisible characters, and still bounded."""

_NFKC_FACTOR = 2
"""Characters given to NFKC, per character of the cap. NFKC sorts combining marks in quadratic time and can grow a
character 18 times, so its input is the one to keep short."""

# No other character has one of these in its NFKC form.
_DROP = re.compile(f"[{INVISIBLE}]+")

# Letters of other scripts that look like Latin ones, and those. Written into English they hide a word from the model and from
# the lexicons, and a reader sees no difference.
_DOUBLES = str.maketrans(
    "АВЕНІЈКМОРСТХУЅаеорсухіјѕһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEHIJKMOPCTXYSaeopcyxijshdqwABEZHIKMNOPTYXo"
)
_DOUBLE = re.compile(f"[{''.join(map(chr, _DOUBLES))}]")
_LATIN = re.compile(r"[A-Za-z]")
_LOWER = str.maketrans({letter: letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
_ODD = re.compile(f"[{INVISIBLE}{''.join(map(chr, _DOUBLES))}{TRADITIONAL}]")

SHOUTED_LETTERS = 12
"""A text in capitals with so many Latin letters is shouted. With fewer they may be a brand in a Chinese text, or a size."""

# What Chinese texts are punctuated with, and its NFKC form. To replace a character by its decomposition beforehand does not
# change the NFKC form of a text, and it spares most Chinese texts the thorough way.
_COMMON = tuple((mark, unicodedata.normalize("NFKC", mark)) for mark in "，！？：；（）～…")


class Normalised(NamedTuple):
    """A text in its one spelling, and whether something of it was cut away."""

    text: str
    truncated: bool


def normalise(text: str, max_characters: int = MAX_CHARACTERS, *, simplify: bool = True) -> Normalised:
    """Return `text` in NFKC, without invisible characters, white space folded, at most `max_characters` long.

    Traditional characters become simplified ones, unless `simplify` is False. A text wholly in capitals is written small,
    and where Latin letters outnumber those of other scripts that look like them, these become Latin: a model answers both
    otherwise than a reader would. A text that is too long keeps its head and its tail, joined by a space: reviews often
    conclude in their last sentence. Never raises; the time is bounded by `max_characters`, not by the input. Pure, any
    thread.
    """
    if len(text) <= max_characters:
        plain = text
        for written, meant in _COMMON:
            plain = plain.replace(written, meant)
        if len(plain) <= max_characters and _is_regular(plain) and unicodedata.is_normalized("NFKC", plain):
            return Normalised(plain, truncated=False)
    return _thorough(text, max_characters, simplify=simplify)


def _is_regular(text: str) -> bool:
    """Whether there is nothing to drop or to fold. The cheapest tests come first; all of them take a microsecond."""
    return (
        text.isprintable()  # no controls, and no white space but the space
        and "  " not in text
        and text[:1] != " "
        and text[-1:] != " "
        and not text.isupper()
        and not _ODD.search(text)
    )


def _thorough(text: str, max_characters: int, *, simplify: bool = True) -> Normalised:
    """What ``normalise`` does to a text that is not in its one spelling already, or nearly so."""
    visible = _DROP.sub("", _head_and_tail(text, max_characters * _RAW_FACTOR))
    folded = " ".join(visible.split())
    composed = unicodedata.normalize("NFKC", _head_and_tail(folded, max_characters * _NFKC_FACTOR))
    refolded = " ".join(composed.split())  # NFKC writes some accents and ligatures with spaces
    truncated = len(text) > max_characters * _RAW_FACTOR or len(folded) > max_characters * _NFKC_FACTOR
    return Normalised(
        _respelled(_head_and_tail(refolded, max_characters), simplify=simplify),
        truncated=truncated or len(refolded) > max_characters,
    )


def _respelled(text: str, *, simplify: bool) -> str:
    """`text` (in NFKC) simplified, without Latin doubles and shouting, in NFKC again: a mark may now combine."""
    plain = text.translate(TO_SIMPLIFIED) if simplify else text
    if len(_LATIN.findall(plain)) > len(_DOUBLE.findall(plain)):
        plain = plain.translate(_DOUBLES)
    if plain.isupper() and len(_LATIN.findall(plain)) >= SHOUTED_LETTERS:
        plain = plain.translate(_LOWER)
    return text if plain == text else unicodedata.normalize("NFKC", plain)


def _head_and_tail(text: str, limit: int) -> str:
    """Cut the middle out of `text` so that at most `limit` (at least 3) characters stay."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    head = limit - 1 - tail
    return f"{text[:head].rstrip()} {text[-tail:].lstrip()}"
