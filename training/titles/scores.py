"""What the labelling functions are worth: each one, and all together, against the hand-labelled titles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training.titles.functions import FUNCTIONS, resolve, tone_of, voters
from training.titles.labelled import LabelledTitle, labelled_titles, pairs


@dataclass(frozen=True)
class FunctionScore:
    """One function. ``precision`` is the share of its votes that equal the label; ``decides`` where it votes alone.

    ``lost`` is the number of titles that would be labelled right only with it: what removing it would cost.
    """

    name: str
    tone: str
    votes: int
    coverage: float
    precision: float
    decides: int
    lost: int


@dataclass(frozen=True)
class ToneScores:
    """All functions together. Shares of ``titles``, except recall per tone and the consistency of pairs."""

    titles: int
    accuracy: float
    macro_f1: float
    covered: float
    conflict: float
    recall: dict[str, float]
    by_group: dict[str, float]
    consistent_pairs: float
    functions: tuple[FunctionScore, ...]


def score_tones(titles: Sequence[LabelledTitle]) -> ToneScores:
    """Score the labelling functions on hand-labelled titles. Pure; a second for thousands of titles."""
    votes = [voters(title.text) for title in titles]
    tones = [resolve(function.tone for function in fired) for fired in votes]
    right = [tone == title.label for tone, title in zip(tones, titles, strict=True)]
    functions = []
    for function in FUNCTIONS:
        fired = [index for index, present in enumerate(votes) if function in present]
        without = {
            index: resolve(other.tone for other in votes[index] if other is not function) for index in fired
        }
        functions.append(
            FunctionScore(
                name=function.name,
                tone=function.tone,
                votes=len(fired),
                coverage=len(fired) / max(1, len(titles)),
                precision=_share([titles[index].label == function.tone for index in fired]),
                decides=sum(len(votes[index]) == 1 for index in fired),
                lost=sum(right[index] - (without[index] == titles[index].label) for index in fired),
            )
        )
    labels = ("negative", "neutral", "positive")
    return ToneScores(
        titles=len(titles),
        accuracy=_share(right),
        macro_f1=sum(_f1(tones, [title.label for title in titles], label) for label in labels) / len(labels),
        covered=_share([bool(fired) for fired in votes]),
        conflict=_share([len({function.tone for function in fired}) > 1 for fired in votes]),
        recall={
            label: _share([ok for ok, title in zip(right, titles, strict=True) if title.label == label])
            for label in labels
        },
        by_group=by_group(titles, right),
        consistent_pairs=consistency(titles, lambda texts: [tone_of(text) for text in texts]),
        functions=tuple(functions),
    )


def by_group(titles: Sequence[LabelledTitle], right: Sequence[bool]) -> dict[str, float]:
    """Share of right answers by language, script and by whether the title is an edge case."""
    groups: dict[str, list[bool]] = {}
    for title, ok in zip(titles, right, strict=True):
        scripts = () if title.script == "latin" else (title.script,)
        for group in (title.language, *scripts, "edge" if title.edge else "plain"):
            groups.setdefault(group, []).append(ok)
    return {name: _share(members) for name, members in sorted(groups.items())}


def consistency(titles: Sequence[LabelledTitle], answer: Callable[[Sequence[str]], Sequence[str]]) -> float:
    """Share of Chinese-English pairs that get one and the same label, right or wrong, from ``answer``."""
    both = pairs(list(titles))
    chinese = answer([zh.text for zh, _ in both])
    english = answer([en.text for _, en in both])
    return _share([left == right for left, right in zip(chinese, english, strict=True)])


def render(parts: dict[str, ToneScores]) -> str:
    """Markdown: one row a part, then one row a function of the last part."""
    lines = [
        "| titles | count | accuracy | macro-F1 | covered | conflict | recall neg / neu / pos | zh | en | edge cases | pairs alike |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, part in parts.items():
        recall = " / ".join(f"{100 * value:.1f}" for value in part.recall.values())
        groups = [f"{100 * part.by_group.get(group, 0.0):.1f}" for group in ("zh", "en", "edge")]
        shares = [part.accuracy, part.macro_f1, part.covered, part.conflict]
        cells = [name, str(part.titles), *(f"{100 * share:.1f}" for share in shares), recall, *groups]
        lines.append(f"| {' | '.join(cells)} | {100 * part.consistent_pairs:.1f} |")
    lines += [
        "",
        "| function | votes for | votes | coverage | precision | votes alone | right only with it |",
        "|---|---|---|---|---|---|---|",
    ]
    last = list(parts.values())[-1]
    lines += [
        f"| {f.name} | {f.tone} | {f.votes} | {100 * f.coverage:.1f} % | {100 * f.precision:.1f} % | {f.decides} | {f.lost} |"
        for f in last.functions
    ]
    return "\n".join(lines) + "\n"


def score_all() -> dict[str, ToneScores]:
    """Scores of both parts and of all titles together."""
    return {
        "development": score_tones(labelled_titles("development")),
        "held_out": score_tones(labelled_titles("held_out")),
        "all": score_tones(labelled_titles()),
    }


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else 0.0


def _f1(answers: Sequence[str], gold: Sequence[str], label: str) -> float:
    hits = sum(a == g == label for a, g in zip(answers, gold, strict=True))
    total = sum(a == label for a in answers) + sum(g == label for g in gold)
    return 2 * hits / total if total else 0.0
