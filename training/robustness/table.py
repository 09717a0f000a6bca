"""Accuracy before and after each perturbation, how many answers flip, and the contrast pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.data import Row
from training.robustness.contrasts import CONTRASTS
from training.robustness.perturb import PERTURBATIONS, perturb_all
from training.scorer import Scorer, labels_for
from training.sets import gold_of, labels_of_set

FEWEST_ROWS = 20
"""Fewest changed rows for which a rate is printed; below it a rate would be noise."""


@dataclass(frozen=True)
class PerturbationScore:
    """One perturbation on one set. ``changed`` rows were really altered; everything else is over these rows alone.

    ``flips`` is the share whose label changed, ``moved`` the mean absolute change of P(positive).
    """

    name: str
    changed: int
    before: float
    after: float
    flips: float
    moved: float


@dataclass(frozen=True)
class ContrastScore:
    """``accuracy`` over single texts; of pairs, ``pairs_right`` is the share with both right, ``pairs_alike`` with one label."""

    phenomenon: str
    language: str
    pairs: int
    accuracy: float
    pairs_right: float
    pairs_alike: float


def score_perturbations(scorer: Scorer, rows: Sequence[Row], *, seed: int = 0) -> list[PerturbationScore]:
    """Score every perturbation on labelled rows of one kind. Blocks for one pass over the rows a perturbation.

    :raises UsageError: the model does not answer that kind.
    """
    labels = labels_of_set(rows, labels_for(scorer, rows[0].kind))
    gold = gold_of(rows, labels)
    before = scorer.probabilities(rows, labels)
    positive = labels.index("positive") if "positive" in labels else len(labels) - 1
    scores = []
    for name in PERTURBATIONS:
        texts = perturb_all([row.text for row in rows], name, seed)
        changed = [index for index, text in enumerate(texts) if text != rows[index].text]
        if not changed:
            scores.append(PerturbationScore(name, 0, 0.0, 0.0, 0.0, 0.0))
            continue
        after = scorer.probabilities([replace(rows[index], text=texts[index]) for index in changed], labels)
        old, new, right = before[changed].argmax(-1), after.argmax(-1), gold[changed]
        scores.append(
            PerturbationScore(
                name=name,
                changed=len(changed),
                before=float((old == right).mean()),
                after=float((new == right).mean()),
                flips=float((old != new).mean()),
                moved=float(np.abs(before[changed, positive] - after[:, positive]).mean()),
            )
        )
    return scores


def score_contrasts(scorer: Scorer) -> list[ContrastScore]:
    """Score the written pairs, by phenomenon and language.

    :raises UsageError: the model does not answer reviews.
    """
    texts = [row for contrast in CONTRASTS for row in (contrast.left, contrast.right)]
    labels = labels_of_set(texts, labels_for(scorer, "review"))
    answers = scorer.probabilities(texts, labels).argmax(-1)
    right = answers == gold_of(texts, labels)
    groups: dict[tuple[str, str], list[int]] = {}
    for index, contrast in enumerate(CONTRASTS):
        groups.setdefault((contrast.phenomenon, contrast.left.category), []).append(index)
    return [
        ContrastScore(
            phenomenon=phenomenon,
            language=language,
            pairs=len(members),
            accuracy=float(np.mean([right[2 * index + side] for index in members for side in (0, 1)])),
            pairs_right=float(np.mean([right[2 * index] and right[2 * index + 1] for index in members])),
            pairs_alike=float(np.mean([answers[2 * index] == answers[2 * index + 1] for index in members])),
        )
        for (phenomenon, language), members in groups.items()
    ]


def render_perturbations(scores: Mapping[str, Sequence[PerturbationScore]]) -> str:
    """Markdown: one row a set and perturbation."""
    lines = [
        "| set | written with | rows changed | accuracy before | after | answers flipped | mean move of P(positive) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, members in scores.items():
        for one in members:
            if one.changed < FEWEST_ROWS:
                lines.append(f"| {name} | {one.name} | {one.changed} | - | - | - | - |")
                continue
            lines.append(
                f"| {name} | {one.name} | {one.changed} | {100 * one.before:.1f} | {100 * one.after:.1f} | "
                f"{100 * one.flips:.1f} % | {one.moved:.3f} |"
            )
    return "\n".join(lines) + "\n"


def render_contrasts(scores: Sequence[ContrastScore]) -> str:
    """Markdown: one row a phenomenon and language."""
    lines = [
        "| what turns the tone | language | pairs | texts right | pairs wholly right | both answered alike |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.phenomenon} | {one.language} | {one.pairs} | {100 * one.accuracy:.1f} | {100 * one.pairs_right:.1f} | "
        f"{100 * one.pairs_alike:.1f} % |"
        for one in scores
    ]
    return "\n".join(lines) + "\n"
