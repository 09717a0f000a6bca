"""A model against the hand-labelled titles, beside the functions that labelled what it learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.baseline import majority_accuracy
from training.metrics import Scores, score
from training.scorer import Scorer, labels_for
from training.sets import gold_of
from training.titles.functions import tone_of
from training.titles.labelled import LabelledTitle, as_rows
from training.titles.scores import by_group, consistency


@dataclass(frozen=True)
class TitleScores:
    """``agrees`` is the share of titles on which model and functions give one tone; groups as in the functions' table."""

    scores: Scores
    majority: float
    by_group: dict[str, float]
    consistent_pairs: float
    agrees: float


def score_model(scorer: Scorer, titles: Sequence[LabelledTitle]) -> TitleScores:
    """Score a model on hand-labelled titles.

    :raises UsageError: the model does not answer titles.
    """
    labels = labels_for(scorer, "title")
    rows = as_rows(list(titles))
    probabilities = scorer.probabilities(rows, labels)
    gold = gold_of(rows, labels)
    answers = [labels[index] for index in probabilities.argmax(-1)]
    said = dict(zip([row.text for row in rows], answers, strict=True))
    right = [answer == title.label for answer, title in zip(answers, titles, strict=True)]
    return TitleScores(
        scores=score(probabilities, gold, labels),
        majority=majority_accuracy([title.label for title in titles]),
        by_group=by_group(titles, right),
        consistent_pairs=consistency(titles, lambda texts: [said[text] for text in texts]),
        agrees=sum(said[row.text] == tone_of(row.text) for row in rows) / max(1, len(rows)),
    )


def render_model(name: str, found: TitleScores) -> str:
    """Markdown: one row."""
    f1 = " / ".join(f"{100 * value:.1f}" for value in found.scores.f1.values())
    groups = [f"{100 * found.by_group.get(group, 0.0):.1f}" for group in ("zh", "en", "plain", "edge")]
    numbers = [found.scores.accuracy, found.scores.macro_f1, found.majority]
    cells = [name, *(f"{100 * value:.1f}" for value in numbers), f"{found.scores.ece:.3f}", f1, *groups]
    cells += [f"{100 * found.consistent_pairs:.1f}", f"{100 * found.agrees:.1f}"]
    return (
        "| model | accuracy | macro-F1 | majority | ECE | F1 neg / neu / pos | zh | en | plain | edge cases | pairs alike "
        "| as the functions |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        f"| {' | '.join(cells)} |\n"
    )
