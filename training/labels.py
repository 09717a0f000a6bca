"""What the labels of a file mean, and which labels the worker can serve."""

import math
import re
import shlex
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from worker.classify.answers import KINDS, LABELS
from worker.classify.sentiment import KindHead
from worker.errors import UsageError

_WORDS = {"neg": "negative", "neu": "neutral", "pos": "positive"}
_BINARY = {"0": "negative", "1": "positive"}
_TRUTH = {"false": "0", "true": "1"}
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_WHOLE = re.compile(r"([+-]?\d+)\.0+")


def spelled(raw: object) -> str | None:
    """A label as files of any format would spell it: lower case, 1 for 1.0 and for true; None where nobody labelled."""
    if raw is None or (isinstance(raw, float) and math.isnan(raw)):
        return None
    word = str(raw).strip().lower()
    word = _TRUTH.get(word, word)
    whole = _WHOLE.fullmatch(word)
    word = whole[1] if whole else word
    return None if word in ("", "nan") else word


def parse_meanings(options: Iterable[str]) -> dict[str, str]:
    """RAW=MEANING pairs as a mapping from spelled labels; an empty meaning takes the label away.

    :raises UsageError: a pair has no ``=``, or its meaning is none of the three labels.
    """
    meanings = {}
    for option in options:
        raw, equals, meaning = option.rpartition("=")
        label, meaning = spelled(raw), meaning.strip().lower()
        if not equals or label is None or meaning not in ("", *LABELS):
            raise UsageError(
                f"--label {option}: not RAW=MEANING",
                hint=f"as in --label 5=positive; a meaning is {', '.join(LABELS)}, or nothing for rows to leave unlabelled",
            )
        meanings[label] = meaning
    return meanings


def meanings_of(found: set[str], given: Mapping[str, str], *, where: str) -> dict[str, str | None]:
    """What every spelled label of one file means; None for a label that ``given`` takes away.

    0 and 1 are negative and positive where the file has no other label: beside a 2, or among stars, they mean other things.
    Words that are none of ours stay as they are.

    :raises UsageError: numbers whose meaning nobody said; ``where`` names their file.
    """
    known = {**_WORDS, **given}
    if found <= set(_BINARY) and not any(_NUMBER.fullmatch(label) for label in given):
        known |= _BINARY
    unclear = sorted((label for label in found if label not in known and _NUMBER.fullmatch(label)), key=float)
    if unclear:
        raise UsageError(
            f"{where}: the labels {', '.join(unclear)} do not say what they mean",
            hint=f"say it for each of them, as in --label {unclear[0]}=negative --label {unclear[-1]}=positive "
            f"(or =neutral; --label {unclear[0]}= leaves its rows unlabelled); `tagline train prepare` takes it too",
        )
    return {label: known.get(label, label) or None for label in found}


def check_servable(labels: Mapping[str, tuple[str, ...]]) -> None:
    """Raise unless the worker can serve a model with these labels of every kind.

    :raises UsageError: with the first kind that it cannot serve.
    """
    for kind, names in labels.items():
        if kind not in KINDS:
            raise UsageError(
                f"no worker can serve texts of kind `{kind}`: it reads {' and '.join(KINDS)} texts",
                hint="a column `kind` says which of these a text is; call one that sorts goods or topics `category`",
            )
        try:
            KindHead(
                labels=names,
                columns=tuple(range(len(names))),
                activation="softmax",
                temperature=1.0,
                neutral_share=0.5,
            )
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            own = shlex.quote(next((name for name in names if name not in LABELS), "good"))
            raise UsageError(
                f"no worker can serve the labels of kind `{kind}` ({', '.join(names) or 'none'}): {reason}",
                hint=f"say what each of your labels means, as in --label {own}=MEANING: {', '.join(LABELS)}, or nothing for rows "
                "to leave unlabelled",
            ) from error


def lacking_kinds(kinds: Iterable[str]) -> str:
    """What to warn of when a model of these kinds answers not for all that a worker reads; empty when it does.

    No error: one kind can be trained and scored alone, and `tagline classify` serves it.
    """
    lacking = [kind for kind in KINDS if kind not in set(kinds)]
    if not lacking:
        return ""
    return (
        f"warning: the model does not answer for texts of kind {', '.join(lacking)}, so `tagline run` refuses a bundle of it; "
        "to keep all kinds go on from a bundle that has them (`tagline train unpack`), or add labelled rows of that kind"
    )
