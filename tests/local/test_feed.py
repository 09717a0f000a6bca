"""The sample feed: the same every time, readable by the worker, and broken where it says so."""

import unicodedata
from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import pytest

from worker.contracts.envelope import Inbound, decode
from worker.contracts.inbound import ListingCreated, ReviewPosted
from worker.contracts.topics import LISTINGS_CREATED, REVIEWS_POSTED
from worker.local.feed import BROKEN_SHARE, FeedRecord, feed, samples

MANY = 6_000


def fixed() -> datetime:
    return datetime(2026, 11, 11, 11, 11, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def records() -> list[FeedRecord]:
    return list(feed(7, MANY, clock=fixed))


def is_chinese(text: str) -> bool:
    return any(unicodedata.name(character, "").startswith("CJK UNIFIED") for character in text)


@pytest.mark.parametrize(("name", "field", "least"), [("listings", "title", 150), ("reviews", "body", 230)])
def test_there_are_many_samples_none_twice_and_chinese_comes_first(name: str, field: str, least: int) -> None:
    found = samples(name)
    texts = [sample[field] for sample in found]
    assert len(texts) == len(set(texts)) >= least
    chinese = [sample for sample in found if sample["locale"] == "zh-CN"]
    assert len(found) / 2 < len(chinese) < len(found) * 0.8
    assert all(
        is_chinese(sample[field]) == (sample["locale"] == "zh-CN")
        for sample in found
        if len(sample[field]) > 12
    )


def test_every_rating_has_reviews_in_both_languages() -> None:
    counted = Counter((sample["locale"], sample["rating"]) for sample in samples("reviews"))
    assert min(counted[locale, rating] for locale in ("zh-CN", "en-US") for rating in range(1, 6)) >= 10


def test_every_sample_makes_an_event_that_the_contract_accepts() -> None:
    for sample in samples("listings"):
        ListingCreated.model_validate({"listing_id": "L", "seller_id": "S", **sample})
    for sample in samples("reviews"):
        ReviewPosted.model_validate({"review_id": "R", "listing_id": "L", "reviewer_id": "U", **sample})


def test_the_same_seed_makes_the_same_records_and_another_seed_other_ids() -> None:
    assert list(feed(3, 300, clock=fixed)) == list(feed(3, 300, clock=fixed))
    ids = {record.identity for record in feed(3, 300)} - {None}
    assert ids.isdisjoint({record.identity for record in feed(4, 300)})


def test_it_goes_on_without_end_when_no_count_is_given() -> None:
    assert len(list(islice(feed(1), 1_000))) == 1_000


def test_the_worker_reads_every_good_record_as_what_was_meant(records: list[FeedRecord]) -> None:
    for record in records:
        if record.identity is None:
            continue
        read = decode(record.topic, record.key, record.value, record.headers)
        assert isinstance(read, Inbound), record
        assert (read.text, read.subject_key) == (record.text, record.key)
        event = read.event
        identity = event.listing_id if isinstance(event, ListingCreated) else event.review_id
        assert identity == record.identity
        assert read.event_at == fixed()


def test_every_broken_record_is_one_that_cannot_be_tagged(records: list[FeedRecord]) -> None:
    broken = [record for record in records if record.identity is None]
    assert BROKEN_SHARE / 2 < len(broken) / MANY < BROKEN_SHARE * 2
    reasons: Counter[str] = Counter()
    for record in broken:
        read = decode(record.topic, record.key, record.value, record.headers)
        if isinstance(read, Inbound):
            assert not read.text.replace("\u200b", "").strip(), "readable, but with a text that can be tagged"
            reasons["empty_text"] += 1
        else:
            reasons[getattr(read, "reason").value] += 1  # noqa: B009 - a rejection or a failure of this test
    assert set(reasons) == {"not_utf8", "not_json", "missing_field", "invalid_field", "empty_text"}


def test_ids_are_fresh_and_reviews_are_of_listings_that_exist(records: list[FeedRecord]) -> None:
    identities = [record.identity for record in records if record.identity is not None]
    assert len(identities) == len(set(identities))
    on_sale: set[bytes] = set()
    for record in records:
        if record.topic == LISTINGS_CREATED:
            on_sale.add(record.key)
        else:
            assert record.topic == REVIEWS_POSTED
            assert record.key in on_sale


def test_some_texts_recur_and_some_do_not(records: list[FeedRecord]) -> None:
    counted = Counter(record.text for record in records if record.identity is not None)
    recurring = sum(times - 1 for times in counted.values()) / MANY
    assert 0.3 < recurring < 0.8


def test_all_three_envelopes_occur(records: list[FeedRecord]) -> None:
    kinds = Counter(dict(record.headers).get("content-type", b"") for record in records)
    assert (
        min(kinds[kind] for kind in (b"", b"application/json", b"application/cloudevents+json")) > MANY * 0.1
    )
