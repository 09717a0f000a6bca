"""How far a "no" reaches: ``no dents or scratches`` and 无磕碰、划痕 deny both.

It goes on over ``or``, ``nor``, ``and``, a comma or 、 to the next word of the same kind, and no further: a flaw that is
described in more words (``no dents, light scratches``, ``no cracks, scratches on the lid``) or in another form (``no
scratches, dented lid``) is disclosed. Each function makes an expression of ``item``, the words of one kind as alternatives;
it is for lower-case text or without regard to case.
"""

_ENDS = r"(?= ?(?:[,;.|/)\]]|$|(?:or|nor|and)\b|&))"
"""Behind a word that a comma has joined: nothing is said of it that would make it a sentence of its own."""


def english_nouns(item: str) -> str:
    """``dents``, ``dents or deep scratches``, ``dents, cracks and scratches``, ``dents/scratches``."""
    return rf"(?:{item})\b(?:(?:,? (?:or|nor) (?:\w+ )?|,? (?:and|&) |/)(?:{item})\b|, ?(?:{item})\b{_ENDS})*"


def english_adjectives(item: str) -> str:
    """``used``, ``used or refurbished``, ``used, opened or repaired``. A comma alone ends it (``not used, scratched``)."""
    return rf"(?:{item})\b(?:(?:, ?(?:{item}))*(?:,? (?:or|nor) |/)(?:{item})\b)?"


def chinese_flaws(item: str) -> str:
    """划痕, 划痕磕碰, 划痕、磕碰, 划痕和磕碰."""
    return f"(?:{item})(?:(?:[、/与及]|或者?|以及|和)?(?:{item}))*"


def chinese_goods(item: str) -> str:
    """二手, 二手或翻新, 二手、翻新: side by side, 二手翻新 would be one thing and not two."""
    return f"(?:{item})(?:(?:[、/与及]|或者?|以及|和)(?:{item}))*"
