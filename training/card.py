"""The model card of a bundle, generated from what the run measured."""

from collections.abc import Mapping
from typing import Any

_RULES = (
    "A review has two trained labels; with p = P(positive), neutral is 2 x share x min(p, 1 - p), taken in equal parts "
    "from both sides. A title's tone says what the title discloses or promotes, not whether the product is good."
)


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
        lines.append(f"| {kind} | {', '.join(entry['labels'])} | {entry['temperature']} | {share} |")
    lines += [
        "",
        _RULES,
        "",
    ]
    sets = evaluation.get("sets") or {}
    if sets:
        lines += [
            "## Measured",
            "",
            "Two-class accuracy for reviews (the calibrated polarity before the neutral rule), three-class for titles.",
            "",
            "| set | rows | accuracy | macro-F1 | ECE | majority | TF-IDF + LR |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, row in sets.items():
            linear = f"{100 * row['linear']:.2f}" if "linear" in row else "-"
            lines.append(
                f"| {name} | {row['rows']} | {100 * row['accuracy']:.2f} | {100 * row['macro_f1']:.2f} | "
                f"{row['ece']:.3f} | {100 * row['majority']:.2f} | {linear} |"
            )
        lines.append("")
    for note in evaluation.get("notes") or []:
        lines += [f"* {note}"]
    lines += ["", f"Licence: {manifest['licence']}.", ""]
    return "\n".join(lines)
