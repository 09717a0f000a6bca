"""Records as an enemy would send them, through a whole worker: each gets its outcome, and its neighbours get theirs."""

import json
import random

import pytest
from confluent_kafka import Producer

from tests.contracts.test_fuzz import a_value, some_headers
from tests.fake_engine import POISON
from tests.integration import raw_kafka
from tests.integration.arena import Arena, Output, Source, review
from tests.integration.judge import committed_now, judge
from worker.classify.normalise import normalise
from worker.contracts.envelope import Inbound, Rejection, decode
from worker.contracts.topics import INPUT_TOPICS, LISTINGS_CREATED, REVIEWS_POSTED
from worker.errors import ExitCode

pytestmark = pytest.mark.integration

MODES = pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])


def dead_letters(arena: Arena) -> dict[Source, Output]:
    return {output.source: output for output in arena.seen if output.topic.endswith(".dlq.v1")}


def reason(letter: Output) -> str:
    return letter.headers["dlq.reason"].decode()


def feed_squeezed(arena: Arena, value: bytes, codec: str) -> Source:
    """A record that is small on the wire only."""
    return feed_batch(arena, [value], codec)[0]


def feed_batch(arena: Arena, values: list[bytes], codec: str) -> list[Source]:
    """Records that travel in one batch."""
    sources: list[Source] = []
    producer = Producer(
        {
            "bootstrap.servers": arena.bootstrap,
            "compression.type": codec,
            "message.max.bytes": 200_000_000,
            "queue.buffering.max.kbytes": 400_000,
            "batch.size": 200_000_000,
            "linger.ms": 1_000,
        }
    )
    for value in values:
        producer.produce(
            REVIEWS_POSTED,
            value,
            b"l1",
            on_delivery=lambda error, message: sources.append(
                (message.topic(), message.partition(), message.offset())
            ),
        )
    assert producer.flush(30) == 0
    arena.fed += sources
    return sources


@MODES
def test_a_text_that_the_model_fails_on_is_rejected_alone(arena: Arena, mode: str) -> None:
    poisoned: list[Source] = []
    for number in range(100):
        text = f"{POISON} {number}" if number % 20 == 7 else f"review {number}"
        arena.feed(
            REVIEWS_POSTED,
            json.dumps(review(number, text)).encode(),
            b"l1",
            then=poisoned.append if POISON in text else lambda _: None,
        )
    arena.settle_feed()
    arena.worker(DELIVERY=mode, WINDOW_MAX_RECORDS="50")
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    judge(arena)
    assert {source: reason(letter) for source, letter in dead_letters(arena).items()} == dict.fromkeys(
        poisoned, "unclassifiable"
    )


@MODES
def test_a_device_that_breaks_down_ends_the_worker_and_its_successor_reads_again(
    arena: Arena, mode: str
) -> None:
    arena.feed_reviews(300)
    settings = {"DELIVERY": mode, "WINDOW_MAX_RECORDS": "20"}
    worker = arena.worker("--failing", "4", **settings)
    assert worker.wait() == ExitCode.MODEL
    assert "DEVICE LOST" in worker.log()
    committed = committed_now(arena)
    done = {source for source in arena.fed if source[2] < committed[source[:2]]}
    arena.read(0.5)
    assert done <= set(arena.outcomes())
    assert len(arena.outcomes()) <= 3 * 20, "published after the device was lost"
    arena.worker(**settings)
    arena.wait_for_outcomes()
    judge(arena, allow_duplicates=mode == "at_least_once")


def test_odd_records_have_their_own_outcomes(arena: Arena) -> None:
    tombstones: list[Source] = []
    arena.feed(LISTINGS_CREATED, None, b"l1", then=tombstones.append)
    arena.feed(REVIEWS_POSTED, None, None, then=tombstones.append)
    keyless: list[Source] = []
    arena.feed(REVIEWS_POSTED, json.dumps(review(1, "no key", "l5")).encode(), None, then=keyless.append)
    timeless: list[Source] = []
    for value in (json.dumps(review(4, "no time")).encode(), b"neither time nor event"):
        arena.feed(REVIEWS_POSTED, value, b"l1", timestamp=-1, then=timeless.append)
    bad: list[Source] = []
    for number in range(1_000):
        arena.feed(REVIEWS_POSTED, b"{broken %d" % number, b"l1", then=bad.append)
    arena.feed_reviews(50)
    value = json.dumps(review(2, "its headers are not text")).encode()
    raw_kafka.produce(arena.bootstrap, REVIEWS_POSTED, 0, b"l1", value, (b"na\xffme", b"v"))
    foreign = arena.add_last_of(REVIEWS_POSTED, 0)
    huge = feed_squeezed(arena, json.dumps(review(3, "x" * 3_000_000)).encode(), "gzip")
    arena.feed_reviews(50)

    worker = arena.worker(DELIVERY="exactly_once")
    arena.fed = [source for source in arena.fed if source not in tombstones]
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    arena.fed += tombstones
    assert worker.stop() == ExitCode.OK
    judge(arena, skipped=tombstones)
    letters = dead_letters(arena)
    assert {source: reason(letter) for source, letter in letters.items()} == {
        **dict.fromkeys(bad, "not_json"),
        timeless[1]: "not_json",
        foreign: "unreadable",
        huge: "too_large",
    }
    assert letters[foreign].value == value
    assert len(letters[huge].value or b"") > 3_000_000
    (tagged,) = arena.outcomes()[keyless[0]]
    assert tagged.key == b"l5"
    (tagged,) = arena.outcomes()[timeless[0]]
    assert tagged.event["source"]["timestamp_ms"] is None
    assert letters[timeless[1]].headers["dlq.timestamp"] == b""


@MODES
def test_a_bomb_that_the_client_cannot_decode_is_passed_over(arena: Arena, mode: str) -> None:
    arena.feed_reviews(50)
    bomb = feed_squeezed(arena, b"a" * 90_000_000, "zstd")
    arena.feed_reviews(50)
    worker = arena.worker(DELIVERY=mode)
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    judge(arena)
    ((source, letter),) = dead_letters(arena).items()
    assert (source, reason(letter), letter.value) == (bomb, "unreadable", None)


@MODES
def test_all_of_a_batch_that_holds_a_bomb_is_passed_over_once_and_what_follows_is_read(
    arena: Arena, mode: str
) -> None:
    before = json.dumps(review(1, "in front of it")).encode()
    arena.feed_reviews(20)
    batch = feed_batch(arena, [before, b"a" * 90_000_000, before], "zstd")
    arena.feed_reviews(50)
    worker = arena.worker(DELIVERY=mode)
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    judge(arena)
    letters = [output.source for output in arena.seen if output.topic.endswith(".dlq.v1")]
    assert sorted(letters) == sorted(batch), (
        "the client can decode none of the batch, and each has one letter"
    )


def test_a_record_too_large_for_its_dead_letter_leaves_a_trimmed_one_and_its_neighbours_alone(
    arena: Arena,
) -> None:
    huge = feed_squeezed(arena, b"[" + b"1," * 10_000_000 + b"1]", "gzip")
    arena.feed_reviews(50)
    worker = arena.worker()
    arena.wait_for_outcomes()
    arena.wait_for_no_lag()
    assert worker.stop() == ExitCode.OK
    ((source, letter),) = dead_letters(arena).items()
    assert (source, reason(letter), letter.value) == (huge, "too_large", None)
    assert letter.headers["dlq.trimmed"] == b"headers,value"


@MODES
def test_a_dead_letter_that_its_topic_refuses_stops_the_worker_and_drops_nothing(
    arena: Arena, mode: str
) -> None:
    before = committed_now(arena)
    huge = feed_squeezed(arena, b"[" + b"1," * 10_000_000 + b"1]", "gzip")
    arena.feed_reviews(50)
    worker = arena.worker(DELIVERY=mode, DEAD_LETTER_OVERSIZE="stop")
    assert worker.wait() == ExitCode.DATA
    assert "larger than Kafka takes" in worker.log()
    assert "TAGLINE_KAFKA_MESSAGE_MAX_BYTES" in worker.log()
    assert committed_now(arena)[huge[:2]] == before[huge[:2]]

    arena.worker(DELIVERY=mode, KAFKA_MESSAGE_MAX_BYTES="30000000")  # as the hint says
    arena.wait_for_outcomes()
    judge(arena, allow_duplicates=mode == "at_least_once")
    assert reason(dead_letters(arena)[huge]) == "too_large"


def test_ten_thousand_fuzzed_records_are_all_accounted_for(arena: Arena) -> None:
    chance = random.Random(20_261_123)
    expected: dict[Source, str] = {}

    def expecting(fate: str, source: Source) -> None:
        expected[source] = fate

    for _ in range(10_000):
        topic = chance.choice(INPUT_TOPICS)
        value, headers = a_value(chance, topic), some_headers(chance)
        key = chance.choice((None, b"", b"l1", b"\xff\x00", chance.randbytes(5)))
        fate = fate_of(topic, key, value, headers)
        arena.feed(topic, value, key, headers=headers, then=lambda source, fate=fate: expecting(fate, source))
    arena.settle_feed()
    worker = arena.worker(DELIVERY="exactly_once")
    skipped = [source for source, fate in expected.items() if fate == "skipped"]
    arena.fed = [source for source in arena.fed if source not in skipped]
    arena.wait_for_outcomes(120)
    arena.wait_for_no_lag()
    arena.fed += skipped
    assert worker.stop() == ExitCode.OK
    judge(arena, skipped=skipped)
    letters = dead_letters(arena)
    found = {
        source: reason(letters[source]) if source in letters else "tagged" for source in arena.outcomes()
    } | dict.fromkeys(skipped, "skipped")
    assert found == expected
    fates = list(expected.values())
    assert fates.count("tagged") > 1_000
    assert len(set(fates)) > 8, "the fuzzer no longer reaches the reasons"


def fate_of(
    topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]] | None
) -> str:
    """What the contracts, asked one by one, say becomes of a record."""
    decoded = decode(topic, key, value, headers or [], max_bytes=1_000_000)
    if isinstance(decoded, Rejection):
        return decoded.reason.value
    if isinstance(decoded, Inbound):
        return "tagged" if normalise(decoded.text).text else "empty_text"
    return "skipped"
