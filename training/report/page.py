"""The report as Markdown: what someone wants to know in a minute first, everything else below."""

from collections.abc import Mapping, Sequence

from training.report.figures import MOST_SETS
from training.report.measure import ModelResult, all_sets, over_seeds

_HOW_TO_READ = (
    "A set without neutral rows is scored as the choice between negative and positive, calibrated. ECE over 15 bins. The range is two "
    "standard errors of the accuracy for this many rows: smaller gaps mean nothing."
)


def render(
    results: Sequence[ModelResult],
    *,
    command: str,
    machine: Mapping[str, object],
    figures: Mapping[str, str],
    seeds: bool,
) -> str:
    """The whole page. ``figures`` maps accuracy, reliability and confusion to file names beside the page.

    ``seeds`` says that the models are one recipe under several seeds: their mean and deviation come first.
    """
    first = results[0]
    lines = ["# Model report", "", f"Written by `{command}`.", ""]
    if seeds and len(results) > 1:
        lines += _seed_table(results)
    lines += _headline(results)
    lines += [f"![Accuracy of every set]({figures['accuracy']})", ""]
    if any(result.contaminated for result in results):
        lines += _contaminated(results)
    lines += _classes(first)
    lines += _categories(first)
    lines += [
        "## Calibration",
        "",
        f"{first.name}. Where the line lies below the diagonal the model is surer than it is right.",
        "",
        f"![Reliability]({figures['reliability']})",
        "",
        *_not_drawn(first),
        "## Confusion",
        "",
        f"{first.name}; rows are the labels, columns the answers.",
        "",
        f"![Confusion matrices]({figures['confusion']})",
        "",
        *_not_drawn(first),
        *_confusion(first),
    ]
    lines += _models(results, machine)
    return "\n".join(lines).rstrip() + "\n"


def _headline(results: Sequence[ModelResult]) -> list[str]:
    lines = [
        "## Scores",
        "",
        _HOW_TO_READ,
        "",
        "| set | rows | model | accuracy | macro-F1 | ECE |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in all_sets(results).items():
        lines.append(f"| {name} | {one.scores.rows} | majority class | {_percent(one.majority)} | - | - |")
        if one.linear is not None:
            lines.append(f"| | | TF-IDF + logistic regression | {_percent(one.linear)} | - | - |")
        for result in results:
            own = result.sets.get(name)
            if own:
                scores = own.scores
                lines.append(
                    f"| | | {result.name} | **{_percent(scores.accuracy)}** ± {100 * own.two_errors:.1f} | {_percent(scores.macro_f1)} | "
                    f"{scores.ece:.3f} |"
                )
    return [*lines, ""]


def _seed_table(results: Sequence[ModelResult]) -> list[str]:
    lines = [
        f"## Over {len(results)} seeds",
        "",
        "Mean and standard deviation.",
        "",
        "| set | accuracy | macro-F1 | ECE |",
        "|---|---|---|---|",
    ]
    for name, metrics in over_seeds(results).items():
        accuracy, macro, ece = metrics["accuracy"], metrics["macro_f1"], metrics["ece"]
        lines.append(
            f"| {name} | {_percent(accuracy[0])} ± {100 * accuracy[1]:.2f} | {_percent(macro[0])} ± {100 * macro[1]:.2f} | "
            f"{ece[0]:.3f} ± {ece[1]:.3f} |"
        )
    return [*lines, ""]


def _contaminated(results: Sequence[ModelResult]) -> list[str]:
    lines = [
        "## Rows that were trained on",
        "",
        "Test rows whose text also stands in the training file. They are in no number above.",
        "",
        "| set | rows | model | accuracy |",
        "|---|---|---|---|",
    ]
    for result in results:
        lines += [
            f"| {name} | {one.scores.rows} | {result.name} | {_percent(one.scores.accuracy)} |"
            for name, one in result.contaminated.items()
        ]
    return [*lines, ""]


def _classes(result: ModelResult) -> list[str]:
    labels = ("negative", "neutral", "positive")
    lines = [
        "## Per class",
        "",
        f"F1 of {result.name}.",
        "",
        f"| set | {' | '.join(labels)} |",
        "|---|---|---|---|",
    ]
    for name, one in result.sets.items():
        cells = [_percent(one.scores.f1[label]) if label in one.scores.f1 else "-" for label in labels]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _categories(result: ModelResult) -> list[str]:
    found = {name: one.categories for name, one in result.sets.items() if one.categories}
    if not found:
        return []
    lines = [
        "## Per category",
        "",
        f"{result.name}; categories of at least 20 rows, the hardest first.",
        "",
        "| set | category | rows | accuracy | macro-F1 |",
        "|---|---|---|---|---|",
    ]
    for name, categories in found.items():
        for category, scores in sorted(categories.items(), key=lambda item: item[1].accuracy):
            lines.append(
                f"| {name} | {category} | {scores.rows} | {_percent(scores.accuracy)} | {_percent(scores.macro_f1)} |"
            )
    return [*lines, ""]


def _not_drawn(result: ModelResult) -> list[str]:
    missing = list(result.sets)[MOST_SETS:]
    return [f"Not drawn: {', '.join(missing)}.", ""] if missing else []


def _confusion(result: ModelResult) -> list[str]:
    answers = list(dict.fromkeys(label for one in result.sets.values() for label in one.labels))
    lines = [
        f"| set | labelled | {' | '.join(f'answered {label}' for label in answers)} |",
        "|---|---|" + "---|" * len(answers),
    ]
    for name, one in result.sets.items():
        for label, counts in zip(one.labels, one.matrix, strict=True):
            found = dict(zip(one.labels, counts, strict=True))
            lines.append(f"| {name} | {label} | {' | '.join(str(found.get(own, '-')) for own in answers)} |")
    return [*lines, ""]


def _models(results: Sequence[ModelResult], machine: Mapping[str, object]) -> list[str]:
    names = list(dict.fromkeys(key for result in results for key in result.details))
    lines = [
        "## Size and speed",
        "",
        f"{machine.get('cpu', 'unknown processor')}, {machine.get('threads', '?')} threads, torch {machine.get('torch', '?')}.",
        "Texts of the first set, tokenised anew; other work on the machine slows this.",
        "",
        f"| model | {' | '.join(names)} | texts/s | one text alone, ms |",
        "|---|" + "---|" * (len(names) + 2),
    ]
    for result in results:
        cells = [result.details.get(name, "-") for name in names]
        speed = (
            [f"{result.speed.texts_per_s:.0f}", f"{result.speed.single_ms:.1f}"]
            if result.speed
            else ["-", "-"]
        )
        lines.append(f"| {result.name} | {' | '.join([*cells, *speed])} |")
    return [*lines, ""]


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
