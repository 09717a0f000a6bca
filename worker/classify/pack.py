"""Texts side by side on one axis of tokens. Pure.

Linear layers see [rows, hidden] without a token of padding between texts. Rows are added at the end only, to reach the
floor below which a matrix product takes another kernel (and then other bits), and a step that keeps the number of
different shapes small (oneDNN compiles one for each). Nothing reads the added rows, and they are thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, groupby

import numpy as np
import numpy.typing as npt

ROW_FLOOR = 32
"""Fewest rows of any matrix product. Measured on AVX-512: other bits below 10 rows (MKL), below 2 (oneDNN)."""
ROW_STEP = 32
"""Rows are a multiple of it. A first product of a new shape costs about 0.2 ms; the waste is 16 of 1,024 rows."""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring texts of equal length: one attention call."""

    first_row: int
    first_text: int
    texts: int
    length: int

    @property
    def last_row(self) -> int:
        """One past its last row."""
        return self.first_row + self.texts * self.length


@dataclass(frozen=True, slots=True)
class Pack:
    """The arrays of one forward."""

    ids: npt.NDArray[np.int64]
    """Token ids [rows]; the rows added at the end hold id 0."""
    positions: npt.NDArray[np.int64]
    """Position in its text of each row, from 0 [rows]."""
    first_rows: npt.NDArray[np.int64]
    """Row of each text's first token [text rows]; filled up to the floor with row 0."""
    runs: tuple[Run, ...]
    texts: int
    tokens: int

    @property
    def rows(self) -> int:
        """Rows of the packed axis."""
        return len(self.ids)


def pack(texts: Sequence[Sequence[int]]) -> Pack:
    """Pack texts given as token ids, none of them empty, in the order given."""
    lengths = [len(ids) for ids in texts]
    tokens = sum(lengths)
    rows = padded_rows(tokens)
    ids = np.zeros(rows, np.int64)
    ids[:tokens] = np.fromiter(chain.from_iterable(texts), np.int64, tokens)
    starts = np.fromiter(accumulate(lengths[:-1], initial=0), np.int64, len(texts))
    positions = np.zeros(rows, np.int64)
    positions[:tokens] = np.arange(tokens) - np.repeat(starts, lengths)
    first_rows = np.zeros(padded_rows(len(texts)), np.int64)
    first_rows[: len(texts)] = starts
    return Pack(ids, positions, first_rows, tuple(_runs(lengths)), len(texts), tokens)


def padded_rows(rows: int) -> int:
    """Rows that are computed for `rows` that are needed."""
    return max(ROW_FLOOR, -(-rows // ROW_STEP) * ROW_STEP)


def _runs(lengths: Sequence[int]) -> list[Run]:
    runs: list[Run] = []
    row = text = 0
    for length, group in groupby(lengths):
        texts = len(list(group))
        runs.append(Run(row, text, texts, length))
        row += texts * length
        text += texts
    return runs
