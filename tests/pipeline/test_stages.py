"""Prepare, classify, conclude, one after the other: every record has its one outcome, and no text is read twice."""

import json
import random
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from tests.contracts.test_fuzz import a_value, some_headers
from tests.fake_engine import POISON, FakeEngine, answer
from worker.cache.tiers import Cache
from worker.classify.normalise import Normalised, normalise
from worker.contracts.deadletter import read_dead_letter
from worker.contracts.reasons import Reason
from worker.contracts.tagged import ModelRef
from worker.contracts.topics import INPUT_TOPICS, LISTINGS_CREATED, REVIEWS_POSTED
from worker.pipeline.classify import Classify
from worker.pipeline.conclude import Conclude
from worker.pipeline.in_flight import TextsInFlight
from worker.pipeline.prepare import RECURRING_CHARACTERS, Prepare
from worker.settings import CacheSettings, RedisSettings
from worker.signals.outputs import OutputWriter
from worker.stream.microbatch import MicroBatch, Outcome
from worker.stream.record import Fault, Headers, Record

NOW = datetime(2026, 1, 5, tzinfo=UTC)


class Bench:
    """The three stages on one thread, with a fake model and the in-process cache."""

    def __init__(self, *, memory: int = 1_000) -> None:
        self.engine, self.in_flight = FakeEngine(), TextsInFlight()
        self.cache = Cache.from_settings(
            RedisSettings(url=None),
            CacheSettings(memory_entries=memory, secret=SecretStr("")),
            identity="fake",
        )
        self.prepare = Prepare(self.engine, self.cache, self.in_flight, record_bytes=100_000)
        self.classify = Classify(self.engine, self.cache, self.in_flight)
        writer = OutputWriter(ce_source="/t", model=ModelRef(name="m", digest="0" * 12, precision=None))
        self.conclude = Conclude(writer, group="g", version="1", now=lambda: NOW)

    def through(self, *records: Record) -> list[Outcome]:
        batch = batch_of(*records)
        for stage in (self.prepare, self.classify, self.conclude):
            stage(batch)
        return batch.outcomes


def batch_of(*records: Record) -> MicroBatch:
    return MicroBatch(list(records), {}, 0, None, 0, 0)


def record(
    value: object, *, offset: int = 0, topic: str = REVIEWS_POSTED, headers: Headers | None = None
) -> Record:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return Record(topic, 0, offset, 1_000, b"l1", raw, headers or [])


def review(text: str, offset: int = 0) -> Record:
    return record({"review_id": "r", "listing_id": "l1", "reviewer_id": "u", "body": text}, offset=offset)


def probabilities(outcome: Outcome) -> tuple[float, float, float]:
    said = json.loads(outcome.messages[0].value or b"")["sentiment"]["probabilities"]
    return said["negative"], said["neutral"], said["positive"]


def reason(outcome: Outcome) -> str:
    letter = read_dead_letter(outcome.messages[0].headers)
    assert letter is not None
    return letter.reason


def test_outcomes_are_in_the_order_of_the_records_whatever_they_are() -> None:
    outcomes = Bench().through(
        review("good", 1),
        record(b"{broken", offset=2),
        record(None, offset=3),
        review(f"{POISON}", 4),
        review("\u200b\u200b", 5),
        record({"listing_id": "l1", "seller_id": "s", "title": "a cup"}, offset=6, topic=LISTINGS_CREATED),
    )
    assert [outcome.kind for outcome in outcomes] == [
        "tagged",
        "rejected",
        "skipped",
        "rejected",
        "rejected",
        "tagged",
    ]
    assert [reason(outcomes[n]) for n in (1, 3, 4)] == ["not_json", "unclassifiable", "empty_text"]
    assert [outcome.labels for outcome in outcomes[1:5]] == [
        ("prepare", "not_json"),
        ("tombstone",),
        ("classify", "unclassifiable"),
        ("prepare", "empty_text"),
    ]
    assert (outcomes[0].labels[0], outcomes[0].score) == ("review", pytest.approx(max(answer("good"))))
    assert probabilities(outcomes[0]) == answer("good")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\u200b\u200d", "only characters that normalisation drops"),
        (
            "\u200b" * 16_050 + "broke after two days" + "\u200d" * 16_050,
            "only characters that normalisation drops at both ends, where it is looked at",
        ),
    ],
    ids=["throughout", "at both ends"],
)
def test_a_text_is_said_to_be_empty_where_it_was_looked_at(text: str, said: str) -> None:
    fields = {"review_id": "r", "listing_id": "l1", "reviewer_id": "u", "body": text}
    (outcome,) = Bench().through(record(json.dumps(fields, ensure_ascii=False).encode()))
    letter = read_dead_letter(outcome.messages[0].headers)
    assert letter is not None
    assert (letter.reason, letter.error) == ("empty_text", said)


def test_a_text_is_classified_once_per_micro_batch() -> None:
    bench = Bench(memory=0)
    outcomes = bench.through(*[review("the same", offset) for offset in range(5)], review("another", 9))
    assert sorted(bench.engine.classified) == ["another", "the same"]
    assert {probabilities(outcome) for outcome in outcomes[:5]} == {answer("the same")}


def test_a_short_text_that_recurs_is_spelled_and_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spelled: list[str] = []

    def counted(text: str) -> Normalised:
        spelled.append(text)
        return normalise(text)

    monkeypatch.setattr("worker.pipeline.prepare.normalise", counted)
    bench, long = Bench(), "long " * (RECURRING_CHARACTERS // 5 + 1)
    first = bench.through(review("short\u200b", 1), review(long, 2))
    again = bench.through(review("short\u200b", 3), review(long, 4))
    assert spelled == ["short\u200b", long, long], "long texts are not kept in memory"
    assert [probabilities(outcome) for outcome in again] == [probabilities(outcome) for outcome in first]


def test_the_same_words_as_title_and_as_review_are_two_texts() -> None:
    bench = Bench()
    title = {"listing_id": "l1", "seller_id": "s", "title": "the same"}
    bench.through(review("the same"), record(title, topic=LISTINGS_CREATED))
    assert bench.engine.classified == ["the same"] * 2


def test_a_text_on_its_way_is_awaited_not_classified_again() -> None:
    bench = Bench(memory=0)
    first, second = batch_of(review("the same", 1)), batch_of(review("the same", 2), review("new", 3))
    bench.prepare(first)
    bench.prepare(second)
    bench.classify(first)
    bench.classify(second)
    bench.conclude(second)
    assert bench.engine.classified == ["the same", "new"]
    assert [probabilities(outcome) for outcome in second.outcomes] == [answer("the same"), answer("new")]
    assert len(bench.in_flight) == 0


def test_a_text_that_fails_on_its_way_fails_for_everybody_who_waits_for_it_and_is_tried_again_later() -> None:
    bench = Bench()
    first, second = batch_of(review(POISON, 1)), batch_of(review(POISON, 2))
    bench.prepare(first)
    bench.prepare(second)
    bench.classify(first)
    bench.classify(second)
    bench.conclude(second)
    assert reason(second.outcomes[0]) == "unclassifiable"
    bench.through(review(POISON, 3))
    assert len(bench.engine.classified) == 2


def test_a_remembered_text_is_not_classified() -> None:
    bench = Bench()
    bench.through(review("known"))
    (outcome,) = bench.through(review("known", 1))
    assert bench.engine.classified == ["known"]
    assert probabilities(outcome) == answer("known")


def test_a_record_that_the_client_could_not_read_keeps_what_there_is_of_it() -> None:
    fault = Fault(Reason.UNREADABLE, "a header's name is not UTF-8", attempts=3)
    foreign = Record(REVIEWS_POSTED, 0, 7, 1_000, b"l1", b"value", [], fault)
    (outcome,) = Bench().through(foreign)
    letter = read_dead_letter(outcome.messages[0].headers)
    assert letter is not None
    assert (letter.reason, letter.stage, letter.error) == (
        "unreadable",
        "intake",
        "a header's name is not UTF-8",
    )
    assert (outcome.messages[0].key, outcome.messages[0].value) == (b"l1", b"value")


def test_a_record_above_the_cap_is_not_parsed() -> None:
    (outcome,) = Bench().through(record(b"[" + b"1," * 60_000 + b"1]"))
    assert reason(outcome) == "too_large"


def test_a_text_that_normalisation_cut_is_tagged_as_truncated() -> None:
    (outcome,) = Bench().through(review("\ufdfa" * 4_000))
    assert json.loads(outcome.messages[0].value or b"")["sentiment"]["truncated"] is True


@pytest.mark.parametrize("seed", range(5))
def test_fuzzed_micro_batches_lose_no_record(seed: int) -> None:
    chance, bench = random.Random(seed), Bench()
    for _ in range(10):
        records = [
            record(a_value(chance, topic), offset=n, topic=topic, headers=some_headers(chance))
            for n, topic in enumerate(chance.choices(INPUT_TOPICS, k=50))
        ]
        outcomes = bench.through(*records)
        assert len(outcomes) == len(records)
        for one, outcome in zip(records, outcomes, strict=True):
            assert (outcome.kind == "skipped") == (outcome.messages == [])
            if outcome.kind == "rejected":
                (letter,) = outcome.messages
                assert (letter.key, letter.value) == (one.key, one.value)
    assert len(bench.in_flight) == 0
