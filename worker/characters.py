"""Which characters show nothing, and which are Chinese: one list for the texts that are classified, the ids that are accepted and
the lines that are logged.

Each constant is the inside of a class of a regular expression. They are spelled out, not taken from Unicode categories, because
these change with the Python version. The normaliser drops what is ``INVISIBLE``, so a change there is a change of the model.
"""

from typing import Final

_INVISIBLE_BASIC: Final = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_INVISIBLE_BEYOND: Final = "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
_SURROGATES: Final = "\ud800-\udfff"
_BREAKING: Final = "\t-\r\x1c-\x1f\x85\u2028\u2029"

INVISIBLE: Final = _INVISIBLE_BASIC + _SURROGATES + _INVISIBLE_BEYOND
"""Controls that are not white space, soft hyphen, joiners, bidi marks, fillers, variation selectors, tags, annotations, and
lone surrogates (which nothing can encode)."""

HAN: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Chinese characters: unified and compatibility ideographs. Which calibration a text gets hangs on them."""

UNPRINTABLE: Final = _BREAKING + INVISIBLE
"""What is invisible, and the white space that could break a line: tabs, line ends, separators."""

UNPRINTABLE_ENCODED: Final = _BREAKING + _INVISIBLE_BASIC + _INVISIBLE_BEYOND
"""The same for texts that are known to be encodable: not every engine takes a surrogate in an expression."""

UNPRINTABLE_BASIC: Final = "".join(
    mark if mark == "-" else f"\\u{ord(mark):04x}" for mark in _BREAKING + _INVISIBLE_BASIC
)
"""The same below U+10000, in escapes: what an expression may say that is read by engines of every language."""
