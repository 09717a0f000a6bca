"""The model card of a bundle, generated from what the run measured."""

from collections.abc import Mapping
from typing import Any

from worker.classify.manifest import Int8Check

_RULE_OF_DOUBT = (
    "Where a kind has a neutral share, two labels were trained; with p = P(positive), neutral is 2 x share x min(p, 1 - p), taken in "
    "equal parts from both sides."
)
_SETS = (
    "A set without neutral rows is scored as the choice between the other two; `called neutral` is the share of its rows that "
    "are served as neutral all the same."
)
_TITLES = "A title's tone says what the title discloses or promotes, not whether the product is good."


def render_card(manifest: Mapping[str, Any], size_bytes: int, layers: int, origin: str) -> str:
    """Markdown: what the bundle is, what it answers, what was measured, what it is not for."""
    evaluation = manifest.get("evaluation") or {}
    lines = [
        f"# {manifest['name']} {manifest['version']}",
        "",
        f"Encoder of {layers} layers, {size_bytes / 1e6:.1f} MB in all, reads at most {manifest['max_tokens']} tokens of a text.",
        "",
        *([origin.strip(), ""] if origin else []),
        "## What it answers",
        "",
        "| kind | labels | temperature | neutral share |",
        "|---|---|---|---|",
    ]
    for kind, entry in manifest["kinds"].items():
        share = entry.get("neutral_share", "own column")
        temperature = str(entry["temperature"])
        if "temperature_han" in entry:
            temperature += f", with a Chinese character {entry['temperature_han']}"
        lines.append(f"| {kind} | {', '.join(entry['labels'])} | {temperature} | {share} |")
    by_rule = any("neutral_share" in entry for entry in manifest["kinds"].values())
    rules = [*([_RULE_OF_DOUBT] if by_rule else []), *([_TITLES] if "title" in manifest["kinds"] else [])]
    lines += ["", " ".join(rules), ""]
    sets = evaluation.get("sets") or {}
    if sets:
        lines += [
            "## Measured",
            "",
            " ".join([_SETS, *_scored_in(sets)]),
            "",
            "| set | rows | accuracy | macro-F1 | ECE | majority | TF-IDF + LR | called neutral |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for name, row in sets.items():
            linear = f"{100 * row['linear']:.2f}" if "linear" in row else "-"
            neutral = f"{100 * row['called_neutral']:.1f} %" if "called_neutral" in row else ""
            lines.append(
                f"| {name} | {row['rows']} | {100 * row['accuracy']:.2f} | {100 * row['macro_f1']:.2f} | "
                f"{row['ece']:.3f} | {100 * row['majority']:.2f} | {linear} | {neutral} |"
            )
        lines.append("")
    if "int8" in manifest:
        lines += ["## In int8", "", _int8(manifest["int8"]), ""]
    lines += ["", f"Licence: {manifest['licence']}.", ""]
    return "\n".join(lines)


def _scored_in(sets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    precisions = sorted({row["precision"] for row in sets.values() if "precision" in row})
    return [f"Scored in {' and '.join(precisions)}."] if precisions else []


def _int8(check: Mapping[str, Any]) -> str:
    allowed = Int8Check.model_validate(check).allows(check["levels"])
    verdict = "takes it by itself" if allowed else "takes it only when asked"
    return (
        f"Of {check['texts']:,} validation texts {100 * check['other_label']:.2f} % get another label than in float32, and accuracy "
        f"changes by {100 * check['accuracy']:+.2f} points. A worker on a CPU without bfloat16 {verdict}."
    )
