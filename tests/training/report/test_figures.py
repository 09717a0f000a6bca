"""What the plots show, before they become pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from training.metrics import Scores
from training.report import figures
from training.report.measure import ModelResult, SetResult


def _set(
    accuracy: float, *, rows: int = 100, majority: float = 0.5, linear: float | None = None
) -> SetResult:
    nothing = np.zeros(1), np.zeros(1), np.zeros(1, dtype=np.int64)
    none = np.zeros((2, 2), dtype=np.int64)
    return SetResult(
        Scores(rows, accuracy, 0, 0, {}), ("negative", "positive"), majority, linear, none, nothing, {}
    )


def _model(name: str, **sets: SetResult) -> ModelResult:
    return ModelResult(name, {}, sets, {}, None)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    kept: list[Figure] = []
    monkeypatch.setattr(figures, "_save", lambda figure, _: kept.append(figure))
    return kept


def test_accuracies_are_points_with_their_range_all_within_the_axis(drawn: list[Figure]) -> None:
    first = _model("first", easy=_set(0.9, linear=0.8), hard=_set(0.36, majority=0.35))
    second = _model("second", hard=_set(0.5), other=replace(_set(1.0), majority=0.01))
    figures.accuracy_plot([first, second], Path("none.png"))
    axis = drawn[0].axes[0]
    drawn[0].draw_without_rendering()
    assert not axis.patches, "a bar is read from its foot, which must be 0"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["easy", "hard", "other"]
    shown = {part.get_label(): part for part in axis.containers}
    heights = {name: list(part.lines[0].get_ydata()) for name, part in shown.items()}
    assert heights == {
        "majority": [50.0, 35.0, 1.0],
        "TF-IDF + LR": [80.0],  # of one set only: no point at 0 for the others
        "first": [90.0, 36.0],
        "second": [50.0, 100.0],
    }
    assert [round(float(x)) for x in shown["second"].lines[0].get_xdata()] == [1, 2]
    (ends,) = shown["first"].lines[2]
    assert [[round(float(y), 2) for y in path[:, 1]] for path in ends.get_segments()] == [
        [84.0, 96.0],
        [26.4, 45.6],
    ]
    low, high = axis.get_ylim()
    assert low < 1
    assert high >= 100
