"""10,000 broken, half-broken and sound records: nothing thrown, every one accounted for."""

import random
from collections import Counter

import orjson

from worker.contracts.catalogue import CATALOGUE
from worker.contracts.deadletter import Failure, dead_letter, read_dead_letter
from worker.contracts.envelope import Inbound, Rejection, Skip, decode
from worker.contracts.outbound import Coordinates, ce_time
from worker.contracts.reasons import Reason, Stage
from worker.contracts.sentiment import scores_of
from worker.contracts.topics import INPUT_TOPICS, LISTINGS_CREATED
from worker.signals.examples import EXAMPLES, MODEL
from worker.signals.outputs import OutputWriter

RECORDS = 10_000
USER_TEXT = "Zq7userwrotethis"
MODELS = {type_.topic: type_.model for type_ in CATALOGUE}
NASTY = (
    b"null", b"true", b"-0", b"1e400", b"NaN", b"-Infinity", b"3.7", b"[]", b"{}", b'""', b'" "', b'"\\ud83d"', b'"\\u0000"',
    b'"\xff"', b'"\xf0\x9f\x98\x80"', b'"2026-02-30T00:00:00Z"', b'"0001-01-01T00:00:00+14:00"', b'"' + b"9" * 400 + b'"',
    b"9" * 30, b"9" * 5_000, b"[" * 300, b'"' + b"x" * 60_000 + b'"', b'{"amount":NaN,"currency":"EUR"}', b'"' + USER_TEXT.encode() + b'"',
    '"\u202e\u200b\ufdfa\U000e0041"'.encode(),
)  # fmt: skip


def a_value(chance: random.Random, topic: str) -> bytes | None:
    """A record's value: sound, with fields changed, or with bytes changed."""
    roll = chance.random()
    if roll < 0.02:
        return None
    if roll < 0.07:
        return chance.randbytes(chance.randrange(60))
    if roll < 0.12:
        return chance.choice(NASTY)
    example = chance.choice([e for e in EXAMPLES if e.type_.topic == topic or chance.random() < 0.1])
    fields = {name: orjson.dumps(content) for name, content in example.value.items()}
    for _ in range(chance.choice((0, 0, 1, 1, 2, 4))):
        fields[chance.choice([*fields, "unknown"])] = chance.choice(NASTY)
    if chance.random() < 0.15:
        fields.pop(chance.choice(list(fields)))
    value = b"{" + b",".join(b'"%s":%s' % (name.encode(), raw) for name, raw in fields.items()) + b"}"
    if chance.random() < 0.1:
        value = b'{"specversion":"1.0","type":"%s","id":"e","data":%s}' % (example.type_.name.encode(), value)
    if chance.random() < 0.15:
        mutable = bytearray(value)
        for _ in range(chance.randrange(1, 4)):
            mutable[chance.randrange(len(mutable))] = chance.randrange(256)
        value = bytes(mutable)
    if chance.random() < 0.05:
        value = value[: chance.randrange(len(value))]
    return value


def some_headers(chance: random.Random) -> list[tuple[str, bytes | None]] | None:
    """No headers, sound ones or odd ones."""
    names = (
        "content-type",
        "ce_specversion",
        "ce_type",
        "ce_id",
        "ce_time",
        "traceparent",
        "tracestate",
        "dlq.reason",
        "x",
    )
    contents = (
        None, b"", b"1.0", b"review.posted", b"listing.created.v1", b"application/cloudevents+json", b"application/json",
        b"2026-01-05T00:00:00Z", b"9999-12-31T23:59:59-23:59", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", USER_TEXT.encode(),
    )  # fmt: skip
    if chance.random() < 0.5:
        return None
    odd = [
        (chance.choice(names), chance.choice((*contents, chance.randbytes(9))))
        for _ in range(chance.randrange(4))
    ]
    return odd if chance.random() < 0.8 else [("content-type", b"application/cloudevents+json")]


def test_ten_thousand_fuzzed_records_are_all_accounted_for():
    chance = random.Random(20_260_105)
    writer = OutputWriter(ce_source="/tagline", model=MODEL)
    outcomes: Counter[str] = Counter()
    for offset in range(RECORDS):
        topic = chance.choice(INPUT_TOPICS)
        value, headers = a_value(chance, topic), some_headers(chance)
        at = Coordinates(topic, 0, offset, None)
        result = decode(topic, None, value, headers)
        if isinstance(result, Inbound):
            outcomes["tagged"] += 1
            shares = sorted(chance.random() for _ in range(2))
            scores = scores_of(shares[0], shares[1] - shares[0], 1 - shares[1], truncated=False)
            messages = writer.messages(result, scores, at, text=result.text, published_at=ce_time())
            assert len(messages) >= (3 if topic == LISTINGS_CREATED else 2)
            for message in messages:
                MODELS[message.topic].model_validate_json(message.value)
        elif isinstance(result, Rejection):
            outcomes[result.reason] += 1
            assert USER_TEXT not in result.detail
            letter = dead_letter(
                at,
                Failure(result.reason, Stage.PREPARE, result.detail),
                key=None,
                value=value,
                headers=headers,
                group="g",
                worker_version="1",
            )
            parsed = read_dead_letter(letter.headers)
            assert letter.value == value
            assert parsed is not None
            assert (parsed.reason, parsed.offset, parsed.original_headers) == (
                result.reason,
                offset,
                headers or [],
            )
        else:
            assert isinstance(result, Skip)
            outcomes["skipped"] += 1
    assert outcomes.total() == RECORDS
    assert outcomes["tagged"] > 1_500
    assert outcomes["skipped"] > 100
    later = {
        Reason.UNCLASSIFIABLE,
        Reason.UNREADABLE,
        Reason.QUARANTINED,
        Reason.TOO_LARGE,
        Reason.SCHEMA_REGISTRY_FRAMING,
    }
    assert {reason for reason in Reason if outcomes[reason] == 0} <= later, (
        "the fuzzer no longer reaches every reason"
    )
