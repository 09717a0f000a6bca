"""Each check on hand-made histories: it passes a right one and finds the violation in a wrong one."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults import checks
from tests.faults.checks import Violation, all_violations
from tests.faults.events import LISTINGS, MARKER, REVIEWS, Event, Fate
from tests.faults.history import Coordinates, Fed, History, Seen

KEY = b"L1"


def fed(offset: int, fate: Fate = "tagged", *, topic: str = REVIEWS, partition: int = 0, **event: Any) -> Fed:
    made = Event(topic, KEY, b'{"body":"x"}', (("trace", b"1"),), f"kind-{fate}", fate)
    return Fed((topic, partition, offset), replace(made, **event))


def output(topic: str, offset: int, source: Coordinates, **changes: Any) -> Seen:
    value = {
        "source": dict(zip(("topic", "partition", "offset"), source, strict=True)),
        "score": 0.25,
        "tagged_at": "now",
    }
    headers = (("ce_id", f"{topic}:{source}".encode()), ("ce_time", b"10:00"))
    return replace(Seen((topic, 0, offset), KEY, json.dumps(value).encode(), headers), **changes)


def tagged(offset: int, source: Fed, **changes: Any) -> list[Seen]:
    topics = {REVIEWS: ["reviews.tagged.v1"], LISTINGS: ["listings.tagged.v1", "signals.ads.v1"]}[
        source.at[0]
    ]
    topics.append("signals.ranking.v1")
    return [output(topic, offset, source.at, **changes) for topic in topics]


def dead(offset: int, source: Fed, **changes: Any) -> Seen:
    names = dict(zip(("topic", "partition", "offset"), source.at, strict=True)) | {
        "reason": "not_json",
        "attempts": 1,
    }
    added = tuple((f"dlq.{name}", str(value).encode()) for name, value in names.items())
    event = source.event
    seen = Seen((source.at[0] + ".dlq.v1", 0, offset), event.key, event.value, event.headers + added)
    return replace(seen, **changes)


def found(inputs: Iterable[Fed], seen: Iterable[Seen], *, exactly_once: bool = True) -> set[str]:
    return {one.invariant for one in all_violations(History.of(inputs, seen), exactly_once=exactly_once)}


ONE, TWO = fed(0), fed(1)
LISTING = fed(0, topic=LISTINGS)
BROKEN = fed(2, "dead")
TOMBSTONE = fed(3, "skipped", value=None)
ODD = fed(4, "either")
INPUTS = [ONE, TWO, LISTING, BROKEN, TOMBSTONE, ODD]
RIGHT = [*tagged(0, ONE), *tagged(1, TWO), *tagged(7, LISTING), dead(0, BROKEN), *tagged(2, ODD)]


def test_a_right_history_has_no_violation() -> None:
    assert found(INPUTS, RIGHT) == set()


def test_an_odd_event_may_be_a_dead_letter_instead() -> None:
    assert found([ODD], [dead(0, ODD)]) == set()


@pytest.mark.parametrize("missing", range(len(RIGHT)))
def test_any_missing_output_is_a_loss(missing: int) -> None:
    assert "I1 lost" in found(INPUTS, RIGHT[:missing] + RIGHT[missing + 1 :])


def test_an_odd_event_without_any_outcome_is_a_loss() -> None:
    assert found([ODD], []) == {"I1 lost"}


def test_a_half_published_event_is_a_loss() -> None:
    assert found([ONE], tagged(0, ONE)[:1]) == {"I1 lost"}


@pytest.mark.parametrize("source", [BROKEN, TOMBSTONE])
def test_an_output_for_what_cannot_be_tagged_is_a_phantom(source: Fed) -> None:
    assert "I2 phantom" in found(INPUTS, [*RIGHT, *tagged(9, source)])


@pytest.mark.parametrize("source", [ONE, TOMBSTONE])
def test_a_dead_letter_for_what_is_not_broken_is_a_phantom(source: Fed) -> None:
    assert "I2 phantom" in found(INPUTS, [*RIGHT, dead(9, source)])


def test_both_an_output_and_a_dead_letter_is_a_phantom() -> None:
    assert "I2 phantom" in found([ODD], [*tagged(0, ODD), dead(0, ODD)])


def test_an_output_of_an_input_that_never_was_is_a_phantom() -> None:
    assert found([ONE], [*tagged(0, ONE), *tagged(1, fed(77))]) == {"I2 phantom"}


def test_an_output_that_does_not_say_where_it_comes_from_is_a_phantom() -> None:
    assert found([ONE], [*tagged(0, ONE), replace(tagged(1, ONE)[0], value=b"{}")]) >= {"I2 phantom"}


def test_a_second_id_for_the_same_input_is_a_phantom() -> None:
    other = replace(tagged(5, ONE)[0], headers=(("ce_id", b"other"),))
    assert "I2 phantom" in found([ONE], [*tagged(0, ONE), other])


def test_a_review_tagged_as_a_listing_is_a_phantom() -> None:
    assert "I2 phantom" in found([ONE], [*tagged(0, ONE), output("listings.tagged.v1", 0, ONE.at)])


@pytest.mark.parametrize(
    "change",
    [
        {"value": b"changed"},
        {"key": None},
        {"headers": dead(0, BROKEN).headers[1:]},
        {"headers": tuple(header for header in dead(0, BROKEN).headers if header[0] != "dlq.reason")},
        {"at": ("listings.created.v1.dlq.v1", 0, 0)},
    ],
)
def test_a_dead_letter_that_lost_something_is_found(change: dict[str, Any]) -> None:
    assert "dead letter" in found([BROKEN], [dead(0, BROKEN, **change)])


def test_the_same_event_twice_is_allowed_at_least_once_and_not_exactly_once() -> None:
    twice = [*tagged(0, ONE), *tagged(1, ONE), dead(0, BROKEN), dead(1, BROKEN)]
    assert found([ONE, BROKEN], twice, exactly_once=False) == set()
    assert found([ONE, BROKEN], twice) == {"I4 duplicate"}


def test_duplicates_may_differ_in_the_publish_time_only() -> None:
    later = [
        replace(
            seen,
            headers=tuple((name, b"11:00" if name == "ce_time" else value) for name, value in seen.headers),
        )
        for seen in tagged(1, ONE)
    ]
    assert found([ONE], [*tagged(0, ONE), *later], exactly_once=False) == set()


@pytest.mark.parametrize(
    "change",
    [
        lambda seen: replace(seen, value=(seen.value or b"").replace(b"0.25", b"0.250")),
        lambda seen: replace(seen, key=b"L2"),
        lambda seen: replace(seen, headers=(*seen.headers, ("ce_source", b"/other"))),
    ],
)
def test_a_duplicate_with_other_bytes_is_found(change: Callable[[Seen], Seen]) -> None:
    other = change(tagged(1, ONE)[0])
    assert "I3 duplicate differs" in found([ONE], [*tagged(0, ONE), other], exactly_once=False)


def test_events_of_one_key_that_overtake_each_other_are_found() -> None:
    assert found([ONE, TWO], [*tagged(0, TWO), *tagged(1, ONE)]) == {"I5 order"}


def test_a_replay_after_a_crash_does_not_break_the_order() -> None:
    replayed = [*tagged(0, ONE), *tagged(1, TWO), *tagged(2, ONE), *tagged(3, TWO)]
    assert found([ONE, TWO], replayed, exactly_once=False) == set()


def test_other_keys_and_other_input_partitions_have_no_order() -> None:
    other_key, other_partition = fed(0, key=b"L2"), fed(1, partition=1)
    later = [replace(seen, key=b"L2") for seen in tagged(3, other_key)]
    assert (
        found([other_key, TWO, other_partition], [*tagged(0, other_partition), *tagged(1, TWO), *later])
        == set()
    )


def test_a_key_in_two_partitions_is_found() -> None:
    moved = [replace(seen, at=(seen.topic, 1, 0)) for seen in tagged(0, TWO)]
    assert found([ONE, TWO], [*tagged(0, ONE), *moved]) == {"I5 order"}


def test_text_of_the_input_in_an_output_or_a_header_is_found() -> None:
    marker = MARKER.encode()
    leaked = replace(tagged(0, ONE)[0], value=tagged(0, ONE)[0].value[:-1] + b',"body":"' + marker + b'"}')  # type: ignore[index] # it has a value
    assert "text leaked" in found([ONE], [leaked, tagged(0, ONE)[1]])
    letter = dead(0, BROKEN)
    told = replace(letter, headers=(*letter.headers, ("dlq.error", b"near " + marker)))
    assert "text leaked" in found([BROKEN], [told])


def test_the_original_text_in_a_dead_letter_s_value_is_no_leak() -> None:
    original = fed(2, "dead", value=MARKER.encode())
    assert found([original], [dead(0, original)]) == set()


def test_two_readers_that_saw_the_same_agree_and_others_do_not() -> None:
    both = tuple(RIGHT)
    changed = (replace(RIGHT[0], value=b"other"), *RIGHT[1:])

    def disagreements(one: tuple[Seen, ...], other: tuple[Seen, ...]) -> list[Violation]:
        return list(checks.readers_disagree(one, other))

    assert disagreements(both, both) == []
    assert len(disagreements(both[1:], both)) == 1
    assert len(disagreements(both, both[:-1])) == 1
    assert len(disagreements(changed, both)) == 1
