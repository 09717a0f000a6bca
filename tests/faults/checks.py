"""The invariants, each a pure function from a history to the violations found. `all_violations` runs them all.

They are the outsider's reading of what is promised: I1 nothing lost, I2 nothing tagged that should not be, I3 duplicates
are the same event, I4 none at all under exactly once, I5 order per key. (I6 to I8 show as losses, duplicates or a lag
that never becomes zero; I10 is checked on the processes.)
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tests.faults.events import LISTINGS, MARKER, REVIEWS
from tests.faults.history import DEAD_LETTERS, Coordinates, Fed, History, Seen

TAGGED = {LISTINGS: "listings.tagged.v1", REVIEWS: "reviews.tagged.v1"}
ALWAYS_WITH = {"signals.ranking.v1": (LISTINGS, REVIEWS), "signals.ads.v1": (LISTINGS,)}
"""Signals that every tagged event of these inputs gives rise to."""

PUBLISH_TIME = "ce_time"
"""The header that says when an output was published: the only thing in which duplicates may differ."""


class Violation(NamedTuple):
    """One broken promise."""

    invariant: str
    what: str
    at: Coordinates


def all_violations(history: History, *, exactly_once: bool) -> list[Violation]:
    """Every violation, in the order of the invariants."""
    checks = [
        nothing_lost,
        no_phantoms,
        dead_letters_keep_the_original,
        duplicates_are_identical,
        order_per_key,
        no_text_leaks,
    ]
    if exactly_once:
        checks.append(no_duplicates)
    return [violation for check in checks for violation in check(history)]


def nothing_lost(history: History) -> Iterator[Violation]:
    """I1: each input has its outcome: tagged (with the signals that always go with it), a dead letter, or was skipped."""
    outcomes: dict[Coordinates, set[str]] = defaultdict(set)
    for seen in history.seen:
        if (source := seen.source()) is not None:
            outcomes[source].add("dead" if seen.dead else seen.topic)
    for at, fed in history.fed.items():
        found = outcomes[at]
        if not found and fed.event.fate == "skipped":
            continue
        if "dead" in found and fed.event.fate in {"dead", "either"}:
            continue
        wanted = _outputs_of(fed)
        if fed.event.fate in {"tagged", "either"} and wanted <= found:
            continue
        if fed.event.fate != "skipped" and "dead" not in found:
            missing = sorted(wanted - found) if fed.event.fate == "tagged" or found else ["any outcome"]
            yield Violation("I1 lost", f"{fed.event.kind}: {', '.join(missing)} missing", at)


def _outputs_of(fed: Fed) -> set[str]:
    return {TAGGED[fed.event.topic]} | {topic for topic, of in ALWAYS_WITH.items() if fed.event.topic in of}


def no_phantoms(history: History) -> Iterator[Violation]:
    """I2: every output belongs to one input that deserves it, on the topic for it, under one id per topic."""
    ids: dict[tuple[Coordinates, str], set[str | None]] = defaultdict(set)
    dead = {seen.source() for seen in history.seen if seen.dead}
    for seen in history.seen:
        source = seen.source()
        fed = history.fed.get(source) if source is not None else None
        if source is None or fed is None:
            yield Violation("I2 phantom", f"belongs to no input ({source})", seen.at)
            continue
        fate = fed.event.fate
        if seen.dead:
            if fate in {"tagged", "skipped"}:
                yield Violation("I2 phantom", f"a dead letter for {fed.event.kind} {source}", seen.at)
            continue
        if fate in {"dead", "skipped"} or source in dead:
            yield Violation("I2 phantom", f"an output for {fed.event.kind} {source}", seen.at)
        if seen.topic in TAGGED.values() and seen.topic != TAGGED[source[0]]:
            yield Violation("I2 phantom", f"{fed.event.kind} {source} on the other kind's topic", seen.at)
        if seen.id is None:
            yield Violation("I2 phantom", "has no id", seen.at)
        ids[source, seen.topic].add(seen.id)
        if len(ids[source, seen.topic]) == 2:
            yield Violation("I2 phantom", f"a second id for {source}", seen.at)


def dead_letters_keep_the_original(history: History) -> Iterator[Violation]:
    """A dead letter is on its input's topic, has a reason, and holds key, value and headers byte for byte."""
    for seen in history.seen:
        source = seen.source()
        fed = history.fed.get(source) if source is not None else None
        if not seen.dead or source is None or fed is None:
            continue
        if seen.topic != source[0] + DEAD_LETTERS:
            yield Violation("dead letter", f"of {source} on the wrong topic", seen.at)
        if not seen.header("dlq.reason"):
            yield Violation("dead letter", f"of {source} has no reason", seen.at)
        if (seen.key, seen.value) != (fed.event.key, fed.event.value):
            yield Violation("dead letter", f"of {fed.event.kind} {source} lost the original bytes", seen.at)
        if tuple(header for header in seen.headers if not header[0].startswith("dlq.")) != fed.event.headers:
            yield Violation("dead letter", f"of {fed.event.kind} {source} lost the original headers", seen.at)


def duplicates_are_identical(history: History) -> Iterator[Violation]:
    """I3: what comes twice is the same event: same id, key, bytes and headers but for the publish time."""
    first: dict[tuple[str, object], Seen] = {}
    for seen in history.seen:
        before = first.setdefault(_identity(seen), seen)
        if before is not seen and _timeless(before) != _timeless(seen):
            yield Violation("I3 duplicate differs", f"from {before.at}: {_difference(before, seen)}", seen.at)


def no_duplicates(history: History) -> Iterator[Violation]:
    """I4: for a `read_committed` reader nothing comes twice."""
    first: dict[tuple[str, object], Seen] = {}
    for seen in history.seen:
        before = first.setdefault(_identity(seen), seen)
        if before is not seen:
            yield Violation("I4 duplicate", f"of {before.at}, for {seen.source()}", seen.at)


def _identity(seen: Seen) -> tuple[str, object]:
    return seen.topic, seen.source() if seen.dead else seen.id


def _timeless(seen: Seen) -> tuple[object, ...]:
    if seen.dead:
        # Who gave up, when, and after how many tries may differ; what was given up on, and why, may not.
        kept = {"dlq.reason", "dlq.stage"}
        headers = tuple(header for header in seen.headers if header[0] in kept or header[0][:4] != "dlq.")
    else:
        headers = tuple(header for header in seen.headers if header[0] != PUBLISH_TIME)
    return seen.key, seen.value, headers


def _difference(one: Seen, other: Seen) -> str:
    for name, left, right in zip(("key", "value", "headers"), _timeless(one), _timeless(other), strict=True):
        if left != right:
            return f"{name} {left!r} against {right!r}"
    return "nothing"


def order_per_key(history: History) -> Iterator[Violation]:
    """I5: per key and input partition, first occurrences come out in the order in which they went in, in one partition."""
    last: dict[tuple[str, bytes | None, str, int], int] = {}
    partitions: dict[tuple[str, bytes | None], int] = {}
    known: set[tuple[str, object]] = set()
    for seen in history.seen:
        source = seen.source()
        if seen.dead or source is None:
            continue
        if partitions.setdefault((seen.topic, seen.key), seen.at[1]) != seen.at[1] and seen.key is not None:
            yield Violation("I5 order", f"key {seen.key!r} is in two partitions", seen.at)
        if (identity := _identity(seen)) in known:
            continue
        known.add(identity)
        stream = (seen.topic, seen.key, source[0], source[1])
        if source[2] < last.get(stream, -1):
            yield Violation("I5 order", f"{source} after offset {last[stream]} of the same key", seen.at)
        last[stream] = max(source[2], last.get(stream, -1))


def no_text_leaks(history: History) -> Iterator[Violation]:
    """Outputs hold ids, labels and numbers: no text of the input. Dead letters hold it in the value only."""
    marker = MARKER.encode()
    for seen in history.seen:
        added = [value or b"" for name, value in seen.headers if not seen.dead or name.startswith("dlq.")]
        if any(marker in part for part in added) or (not seen.dead and marker in (seen.value or b"")):
            yield Violation("text leaked", "an output or a header holds text of the input", seen.at)


def readers_disagree(alongside: tuple[Seen, ...], after: tuple[Seen, ...]) -> Iterator[Violation]:
    """A reader that watched all along and one that came later must have read the same records at the same offsets."""
    first, second = ({seen.at: seen for seen in side} for side in (alongside, after))
    for at in sorted(first.keys() | second.keys()):
        if first.get(at) != second.get(at):
            missing = "alongside" if at not in first else "afterwards"
            what = f"not seen {missing}" if at not in first or at not in second else "seen with two contents"
            yield Violation("readers disagree", what, at)
