"""The hot path writes exactly what the models of the contract describe."""

import itertools

import orjson
import pytest
from jsonschema import Draft202012Validator

from worker.contracts.catalogue import CATALOGUE
from worker.contracts.envelope import decode
from worker.contracts.outbound import Coordinates, ce_time
from worker.contracts.schemas import json_schema
from worker.contracts.sentiment import scores_of
from worker.contracts.tagged import ModelRef
from worker.contracts.topics import LISTINGS_CREATED, REVIEWS_POSTED
from worker.signals.outputs import OutputWriter

TYPES = {type_.topic: type_ for type_ in CATALOGUE if type_.direction == "out"}
SCHEMAS = {topic: Draft202012Validator(json_schema(type_)) for topic, type_ in TYPES.items()}
MODEL = ModelRef(name="m", digest="0123456789ab", precision=None)
WRITER = OutputWriter(ce_source="/tagline", model=MODEL)
AT = Coordinates(REVIEWS_POSTED, 3, 41, 1_767_601_800_000)
NOW = b"2026-01-05T08:30:01.250Z"
PROBABILITIES = [
    (0.9, 0.05, 0.05),
    (1e-7, 2e-6, 0.999998),
    (1 / 3, 1 / 3, 1 / 3),
    (0.61, 0.09, 0.3),
    (0.0, 1.0, 0.0),
]
TRACE = [("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"), ("tracestate", b"v=1")]


def read(topic, headers=None, **fields):
    base = {"listing_id": "L-1", "seller_id": "S-1", "title": "x"}
    if topic == REVIEWS_POSTED:
        base = {"review_id": "R-1", "listing_id": "L-1", "reviewer_id": "U-1", "body": "x"}
    return decode(topic, None, orjson.dumps(base | fields), headers)


def written(inbound, scores, at=AT, published_at=NOW):
    return WRITER.messages(inbound, scores, at, text=inbound.text, published_at=published_at)


def variants():
    """Records of both kinds with everything that changes what is written."""
    texts = ("Best ever, used once", "坏了，物流慢，是假货", "quiet fan", 'quotes " and \\ and \u2028 and 😀')
    times = (None, "2026-01-05T08:29:59.123456Z", "2026-01-05T16:00:00+08:00", "0001-01-02T00:00:00Z")
    for text, at in itertools.product(texts, times):
        yield read(LISTINGS_CREATED, title=text, created_at=at)
        for rating, verified, order in ((None, None, None), (1, True, "O-1"), (5, False, "订单 9")):
            yield read(
                REVIEWS_POSTED,
                TRACE,
                body=text,
                posted_at=at,
                rating=rating,
                verified_purchase=verified,
                order_id=order,
            )


def test_every_output_is_what_its_model_and_its_schema_accept_and_would_write():
    seen = set()
    for inbound, probabilities, truncated in itertools.product(variants(), PROBABILITIES, (False, True)):
        for message in written(inbound, scores_of(*probabilities, truncated=truncated)):
            model = TYPES[message.topic].model.model_validate_json(message.value)
            assert orjson.loads(model.model_dump_json()) == orjson.loads(message.value)
            SCHEMAS[message.topic].validate(orjson.loads(message.value))
            assert message.key.decode() == getattr(model, TYPES[message.topic].key_field)
            seen.add(message.topic)
    assert seen == set(TYPES)


def test_no_text_of_the_input_is_published():
    private = "Unrepeatable words broken"
    for inbound in (
        read(LISTINGS_CREATED, title=private, description=private, brand=private),
        read(REVIEWS_POSTED, title=private, body=private, rating=1),
    ):
        for message in written(inbound, scores_of(0.9, 0.1, 0.0, truncated=False)):
            assert b"Unrepeatable" not in message.value + repr(message.headers).encode()


def test_a_listing_becomes_three_messages_and_a_happy_review_two():
    happy = scores_of(0.0, 0.1, 0.9, truncated=False)
    assert [m.topic for m in written(read(LISTINGS_CREATED), happy)] == [
        "listings.tagged.v1",
        "signals.ranking.v1",
        "signals.ads.v1",
    ]
    assert [m.topic for m in written(read(REVIEWS_POSTED), happy)] == [
        "reviews.tagged.v1",
        "signals.ranking.v1",
    ]


def test_an_unhappy_review_also_alerts_care_under_the_reviewers_id():
    messages = written(read(REVIEWS_POSTED), scores_of(0.95, 0.05, 0.0, truncated=False))
    assert [(m.topic, m.key) for m in messages] == [
        ("reviews.tagged.v1", b"L-1"),
        ("signals.ranking.v1", b"L-1"),
        ("alerts.care.v1", b"U-1"),
    ]


def test_the_headers_are_a_binary_cloud_event():
    message = written(
        read(REVIEWS_POSTED, [*TRACE, ("ce_id", b"in-1")]), scores_of(0, 0.1, 0.9, truncated=False)
    )[0]
    assert dict(message.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"review.tagged.v1:reviews.posted.v1:3:41:0123456789ab",
        "ce_source": b"/tagline",
        "ce_type": b"review.tagged",
        "ce_time": NOW,
        "ce_dataschema": b"urn:tagline:schema:review.tagged:1",
        "ce_partitionkey": b"L-1",
        "ce_causationid": b"in-1",
        "ce_sequence": b"00000000000000000041",
        "content-type": b"application/json",
        **dict(TRACE),
    }
    assert len(dict(message.headers)) == len(message.headers)


def test_an_input_without_an_id_is_named_by_its_coordinates():
    message = written(read(REVIEWS_POSTED), scores_of(0, 0.1, 0.9, truncated=False))[0]
    assert dict(message.headers)["ce_causationid"] == b"reviews.posted.v1:3:41"
    assert orjson.loads(message.value)["source"]["id"] == "reviews.posted.v1:3:41"


def test_a_replay_differs_in_the_publish_time_only():
    inbound, scores = read(REVIEWS_POSTED, TRACE, rating=1), scores_of(0.9, 0.1, 0.0, truncated=True)
    first, again = written(inbound, scores), written(inbound, scores, published_at=ce_time())
    assert len(first) == len(again) == 3
    for one, other in zip(first, again, strict=True):
        assert (one.topic, one.key, one.value) == (other.topic, other.key, other.value)
        differing = [a[0] for a, b in zip(one.headers, other.headers, strict=True) if a != b]
        assert differing == ["ce_time"]


def test_ids_differ_by_type_coordinates_and_model():
    other_model = OutputWriter(
        ce_source="/tagline", model=MODEL.model_copy(update={"digest": "ba9876543210"})
    )
    scores, inbound = scores_of(0.9, 0.1, 0.0, truncated=False), read(REVIEWS_POSTED)
    ids = [
        dict(message.headers)["ce_id"]
        for at in (AT, AT._replace(offset=42), AT._replace(partition=4), AT._replace(topic="other"))
        for writer in (WRITER, other_model)
        for message in writer.messages(inbound, scores, at, text="x", published_at=NOW)
    ]
    assert len(set(ids)) == len(ids) == 24


@pytest.mark.parametrize("identifier", ["编号-1", "a b", "L/1?x=%20", 'q"uote'])
def test_any_printable_id_survives_as_key_header_and_field(identifier):
    message = written(read(REVIEWS_POSTED, listing_id=identifier), scores_of(0, 0, 1, truncated=False))[0]
    assert message.key.decode() == identifier
    assert dict(message.headers)["ce_partitionkey"].decode() == identifier
    assert orjson.loads(message.value)["listing_id"] == identifier
