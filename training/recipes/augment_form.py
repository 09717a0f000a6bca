"""Other written forms of English text: lower case, and punctuation set apart, as user text and corpora have it."""

import random
import re

_CLITIC = re.compile(r"(?i)(n't|'(?:s|re|ve|ll|d|m))\b")
_MARK = re.compile(r"([.,!?;:()\"])")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
SHORTEST_WORDS, LONGEST_WORDS = 4, 40
"""Of a sentence that is worth reading alone."""


def set_apart(text: str) -> str:
    """Clitics and punctuation as words of their own: ``don't stop!`` -> ``do n't stop !``."""
    return " ".join(_MARK.sub(r" \1 ", _CLITIC.sub(r" \1", text)).split())


def vary_form(text: str, chooser: random.Random) -> str:
    """The text as it is (60 %), in lower case (20 %), or in lower case and set apart (20 %)."""
    draw = chooser.random()
    if draw < 0.6:
        return text
    return text.lower() if draw < 0.8 else set_apart(text.lower())


def sentences(text: str) -> list[str]:
    """The sentences of a text that are neither shorter nor longer than that."""
    parts = (part.strip() for part in _SENTENCE_END.split(text))
    return [part for part in parts if SHORTEST_WORDS <= len(part.split()) <= LONGEST_WORDS]
