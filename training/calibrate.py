"""Making probabilities mean what they say: one temperature a kind, and how much of a doubtful review is neutral."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.metrics import Floats, Ints
from training.predict import probabilities_of

TEMPERATURES = np.geomspace(0.4, 4.0, 120)
NEUTRAL_SHARES = np.linspace(0.05, 1.0, 20)
POLAR_LOSS = 0.03
"""At most this share of the polar validation texts may turn neutral when the neutral share is chosen."""


def negative_log_likelihood(probabilities: Floats, gold: Ints) -> float:
    """Mean -log P(gold)."""
    return float(-np.log(np.maximum(1e-12, probabilities[np.arange(len(gold)), gold])).mean())


def fit_temperature(sets: Sequence[tuple[Floats, Ints]]) -> float:
    """The temperature of least mean negative log-likelihood, every set counting the same whatever its size.

    ``sets``: (logits [rows, the set's labels], gold [rows]) of validation sets of one kind.
    """
    losses = [
        np.mean(
            [
                negative_log_likelihood(probabilities_of(logits, range(logits.shape[1]), t), gold)
                for logits, gold in sets
            ]
        )
        for t in TEMPERATURES
    ]
    return round(float(TEMPERATURES[int(np.argmin(losses))]), 4)


def is_at_an_end(temperature: float) -> bool:
    """Whether a fitted temperature is the least or largest that was tried, so that the texts (too few, or all answered right) asked
    for one beyond.
    """
    return not TEMPERATURES[0] * 1.001 < temperature < TEMPERATURES[-1] * 0.999


def warnings_of(temperatures: Mapping[str, float]) -> list[str]:
    """What to warn of where the fitted temperature of a kind :func:`is_at_an_end`."""
    return [
        f"warning: the temperature of kind `{kind}` came out as {temperature}, the end of what is tried: its validation texts "
        "are too few, or like the training texts, to say how sure the model may be"
        for kind, temperature in temperatures.items()
        if is_at_an_end(temperature)
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
