"""Choosing dead letters and naming them, without a cluster."""

import pytest

from worker.contracts.deadletter import DeadLetter
from worker.errors import UsageError
from worker.stream.dead_letter_tools import coordinates_of, topics_named
from worker.stream.redrive import REMEMBERED_MS, Selection


def letter(**changes: object) -> DeadLetter:
    plain = DeadLetter(
        reason="not_json",
        stage="prepare",
        topic="reviews.posted.v1",
        partition=0,
        offset=7,
        timestamp_ms=None,
        group="tagline",
        attempts=1,
        worker_version="1",
        error="",
        redrives=0,
        trimmed=(),
        original_headers=[],
    )
    return plain._replace(**changes)  # type: ignore[arg-type] # the tests name real fields


def test_without_a_name_all_dead_letter_topics_are_meant() -> None:
    assert topics_named([]) == ["listings.created.v1.dlq.v1", "reviews.posted.v1.dlq.v1"]


@pytest.mark.parametrize("name", ["reviews.posted.v1", "reviews.posted.v1.dlq.v1"])
def test_an_input_s_name_and_its_dead_letter_topic_s_name_mean_the_same(name: str) -> None:
    assert topics_named([name]) == ["reviews.posted.v1.dlq.v1"]


def test_a_topic_that_has_no_dead_letters_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"signals\.ads"):
        topics_named(["signals.ads.v1"])


def test_coordinates_are_read_as_they_are_printed() -> None:
    assert coordinates_of("reviews.posted.v1.dlq.v1/3/120") == ("reviews.posted.v1.dlq.v1", 3, 120)


@pytest.mark.parametrize(
    "text", ["", "topic", "topic/1", "topic/1/", "topic/x/1", "topic/1/-1", "/1/2", "t/1/2/3", "t/²/1"]
)
def test_other_coordinates_are_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        coordinates_of(text)


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (letter(), "redriven"),
        (letter(reason="not_utf8"), "other reason"),
        (letter(redrives=3), "redriven too often"),
        (letter(redrives=2), "redriven"),
        (letter(trimmed=("headers", "value")), "no original"),
        (letter(topic="somebody.elses.v1"), "foreign"),
        (None, "foreign"),
    ],
)
def test_what_is_redriven_and_why_the_rest_is_left(one: DeadLetter | None, verdict: str) -> None:
    assert Selection(frozenset({"not_json"}), max_redrives=3).verdict(one, 0) == verdict


def test_a_record_that_the_client_could_not_read_has_no_original_to_send() -> None:
    assert Selection().verdict(letter(reason="unreadable"), 0) == "no original"


def test_what_may_have_been_redriven_and_forgotten_goes_only_when_asked() -> None:
    old = REMEMBERED_MS + 1
    assert Selection().verdict(letter(), REMEMBERED_MS) == "redriven"
    assert Selection().verdict(letter(), old) == "older than 7 days"
    assert Selection(old=True).verdict(letter(), old) == "redriven"
