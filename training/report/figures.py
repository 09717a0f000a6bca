"""The report's plots, as PNG files small enough to keep beside the text."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.report.measure import ModelResult, SetResult, all_sets

DPI = 80
PANEL_INCHES = 2.6
MOST_SETS = 8
"""Sets of which there are panels; the page names the others."""


def reliability_plot(results: Mapping[str, SetResult], path: Path) -> None:
    """Accuracy against confidence for every set, one panel each, with the share of texts in every bin."""
    figure, axes = _panels(len(results))
    for axis, (name, result) in zip(axes, results.items(), strict=False):
        confidence, right, count = result.curve
        shown = count > 0
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        axis.bar(confidence[shown], count[shown] / count.sum(), width=0.03, color="#c8d6e5")
        axis.plot(confidence[shown], right[shown], marker="o", markersize=3, color="#10557a", linewidth=1)
        axis.set(xlim=(0.3, 1), ylim=(0, 1), xlabel="confidence")
        axis.set_title(f"{name}: ECE {result.scores.ece:.3f}", fontsize=9)
    axes[0].set_ylabel("accuracy (line), share of texts (bars)", fontsize=8)
    _save(figure, path)


def confusion_plot(results: Mapping[str, SetResult], path: Path) -> None:
    """The confusion matrix of every set as shares of the labelled class, with counts written in."""
    figure, axes = _panels(len(results))
    for axis, (name, result) in zip(axes, results.items(), strict=False):
        shares = result.matrix / result.matrix.sum(1, keepdims=True).clip(1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, values in enumerate(result.matrix):
            for column, value in enumerate(values):
                colour = "white" if shares[row, column] > 0.6 else "black"
                axis.text(column, row, str(value), ha="center", va="center", fontsize=8, color=colour)
        short = [label[:3] for label in result.labels]
        axis.set_xticks(range(len(short)), short, fontsize=8)
        axis.set_yticks(range(len(short)), short, fontsize=8)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("answered", fontsize=8)
    axes[0].set_ylabel("labelled", fontsize=8)
    _save(figure, path)


def accuracy_plot(results: list[ModelResult], path: Path) -> None:
    """Accuracy of every model on every set that it answers, with two standard errors, beside the majority class and the
    linear baseline.

    Points and no bars, so that the axis may begin where the numbers do. What was not measured has no point.
    """
    every = all_sets(results)
    names = list(every)
    figure = Figure(figsize=(max(5.0, 1.1 * len(names)), 3), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    rows: list[tuple[str, dict[str, float], dict[str, float]]] = [
        ("majority", {name: one.majority for name, one in every.items()}, {}),
        ("TF-IDF + LR", {name: one.linear for name, one in every.items() if one.linear is not None}, {}),
    ]
    for result in results:
        accuracies = {name: one.scores.accuracy for name, one in result.sets.items()}
        rows.append((result.name, accuracies, {name: one.two_errors for name, one in result.sets.items()}))
    width = 0.8 / len(rows)
    colours = ["#a6a6a6", "#7d9bab", "#10557a", "#5b9279", "#c97b63", "#8e6c8a", "#c2a83e"]
    for index, (label, shares, errors) in enumerate(rows):
        axis.errorbar(
            [names.index(name) + (index - (len(rows) - 1) / 2) * width for name in shares],
            [100 * share for share in shares.values()],
            yerr=[100 * errors[name] for name in shares] if errors else None,
            fmt="_" if index < 2 else "o",
            markersize=9 if index < 2 else 4,
            markeredgewidth=2 if index < 2 else 1,
            elinewidth=1.2,
            label=label,
            color=colours[index % len(colours)],
        )
    axis.set_xticks(range(len(names)), names, fontsize=8, rotation=20)
    axis.grid(axis="y", color="0.9", linewidth=0.6)
    axis.set_ylabel("accuracy, %")
    axis.legend(fontsize=7, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    _save(figure, path)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure without a window, and one axis for each of the first sets."""
    shown = min(count, MOST_SETS)
    columns = min(shown, 4)
    lines = -(-shown // columns)
    figure = Figure(figsize=(PANEL_INCHES * columns, PANEL_INCHES * lines), dpi=DPI, layout="constrained")
    axes: list[Axes] = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axis in axes[shown:]:
        axis.set_axis_off()
    return figure, axes[:shown]


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
