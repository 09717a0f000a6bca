"""Making probabilities mean what they say: a temperature for each kind and script, and how much of doubt is neutral."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from training.data import Row
from training.metrics import Bools, Floats, Ints
from training.predict import probabilities_of
from worker.classify.normalise import normalise
from worker.classify.sentiment import has_han

TEMPERATURES = np.geomspace(0.4, 4.0, 120)
FEWEST_OF_A_SCRIPT = 500
"""Validation texts with Chinese characters, and without, from which on each get a temperature of their own. The shipped bundle's
has a standard error of 6 % from 600 texts and of 17 % from 150; the two differ by 10 %."""
NEUTRAL_SHARES = np.linspace(0.05, 1.0, 20)
POLAR_LOSS = 0.03
"""At most this share of the polar validation texts may turn neutral when the neutral share is chosen."""


class Answered(NamedTuple):
    """A validation set of one kind, and what the model says of it."""

    logits: Floats
    """[rows, the set's labels]"""
    gold: Ints
    """[rows]"""
    han: Bools
    """[rows], see :func:`in_han`."""


@dataclass(frozen=True)
class Temperature:
    """What the logits of one kind are divided by; a bundle's ``temperature`` and ``temperature_han``."""

    other: float = 1.0
    """Of texts without a Chinese character, and of all where ``han`` is None."""
    han: float | None = None

    def of(self, han: Bools) -> Floats:
        """[rows, 1] for rows that are in Chinese characters or not."""
        return np.where(han, self.other if self.han is None else self.han, self.other)[:, None]


def in_han(rows: Sequence[Row]) -> Bools:
    """Which rows have a Chinese character, as the worker asks: [rows]."""
    return np.array([has_han(normalise(row.text).text) for row in rows], dtype=bool)


def log_losses(probabilities: Floats, gold: Ints) -> Floats:
    """-log P(gold) of every row: [rows]."""
    return np.asarray(-np.log(np.maximum(1e-12, probabilities[np.arange(len(gold)), gold])))


def fit_temperature(sets: Sequence[Answered]) -> Temperature:
    """The temperature of least mean negative log-likelihood, every set counting the same whatever its size.

    Texts with Chinese characters and texts without get one of their own, where there are ``FEWEST_OF_A_SCRIPT`` of each: a model
    that has read more of one language is not as sure of the other as it may be, or too sure.
    """
    han, other = [one.han for one in sets], [~one.han for one in sets]
    if min(sum(int(rows.sum()) for rows in part) for part in (han, other)) < FEWEST_OF_A_SCRIPT:
        return Temperature(_likeliest(sets, [np.ones_like(one.han) for one in sets]))
    return Temperature(_likeliest(sets, other), _likeliest(sets, han))


def _likeliest(sets: Sequence[Answered], chosen: Sequence[Bools]) -> float:
    """For the chosen rows of every set. A row counts by its set, so a few strays of a script weigh little."""
    losses = [
        sum(
            log_losses(probabilities_of(one.logits, range(one.logits.shape[1]), t), one.gold)[rows].sum()
            / len(rows)
            for one, rows in zip(sets, chosen, strict=True)
        )
        for t in TEMPERATURES
    ]
    return round(float(TEMPERATURES[int(np.argmin(losses))]), 4)


def is_at_an_end(temperature: float) -> bool:
    """Whether a fitted temperature is the least or largest that was tried, so that the texts (too few, or all answered
    right) asked for one beyond.
    """
    return not TEMPERATURES[0] * 1.001 < temperature < TEMPERATURES[-1] * 0.999


def warnings_of(temperatures: Mapping[str, Temperature]) -> list[str]:
    """What to warn of where a fitted temperature of a kind :func:`is_at_an_end`."""
    return [
        f"warning: the temperature of kind `{kind}` came out as {value}, the end of what is tried: its validation texts "
        "are too few, or like the training texts, to say how sure the model may be"
        for kind, temperature in temperatures.items()
        for value in (temperature.other, temperature.han)
        if value is not None and is_at_an_end(value)
    ]


def with_neutral(positive: Floats, neutral_share: float) -> Floats:
    """[negative, neutral, positive] from P(positive) [rows], by the bundle's rule."""
    neutral = 2 * neutral_share * np.minimum(positive, 1 - positive)
    return np.stack([1 - positive - neutral / 2, neutral, positive - neutral / 2], axis=-1)


def is_neutral(positive: Floats, neutral_share: float) -> Floats:
    """1.0 where the rule's likeliest label is neutral (ties included), else 0.0 [rows]."""
    three = with_neutral(positive, neutral_share)
    return np.asarray(three[:, 1] >= np.maximum(three[:, 0], three[:, 2]), dtype=float)


def fit_neutral_share(doubtful: Floats, polar: Floats, *, largest_loss: float) -> tuple[float, float, float]:
    """The largest share at which at most ``largest_loss`` of the polar texts turn neutral.

    ``doubtful``, ``polar``: P(positive) of texts that should and should not be neutral. Returns (share, recall of neutral
    among the doubtful, share of polar texts lost to neutral).
    """
    best = (float(NEUTRAL_SHARES[0]), 0.0, 0.0)
    for share in NEUTRAL_SHARES:
        lost = float(is_neutral(polar, float(share)).mean())
        if lost <= largest_loss:
            best = (round(float(share), 3), float(is_neutral(doubtful, float(share)).mean()), lost)
    return best
