"""How records become events, rejections or skips."""

import base64
from datetime import UTC, datetime

import orjson
import pytest

from worker.contracts.envelope import Inbound, Rejection, Skip, decode
from worker.contracts.reasons import Reason, SkipReason
from worker.contracts.topics import LISTINGS_CREATED, REVIEWS_POSTED

LISTING = {"listing_id": "L-1", "seller_id": "S-1", "title": "Warm wool scarf"}
REVIEW = {"review_id": "R-1", "listing_id": "L-1", "reviewer_id": "U-1", "body": "Lovely and soft."}
TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BINARY = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"event-7"),
    ("ce_source", b"/shop"),
    ("ce_type", b"review.posted"),
    ("content-type", b"application/json"),
]
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def review(headers=None, topic=REVIEWS_POSTED, **changes):
    return decode(topic, b"L-1", orjson.dumps(REVIEW | changes), headers)


def structured(headers=STRUCTURED, **changes):
    envelope = {
        "specversion": "1.0",
        "id": "event-8",
        "source": "/shop",
        "type": "review.posted",
        "data": REVIEW,
    }
    return decode(REVIEWS_POSTED, b"L-1", orjson.dumps(envelope | changes), headers)


def test_a_bare_json_listing_is_tagged_by_its_title():
    inbound = decode(LISTINGS_CREATED, b"L-1", orjson.dumps(LISTING), None)
    assert isinstance(inbound, Inbound)
    assert (inbound.kind, inbound.text, inbound.subject_key) == ("title", "Warm wool scarf", b"L-1")
    assert (inbound.event_id, inbound.event_at, inbound.traceparent) == (None, None, None)


def test_a_review_is_tagged_by_its_title_and_body_together():
    assert review(title="Great").text == "Great\nLovely and soft."
    assert review(title=None).text == review(title="").text == "Lovely and soft."


def test_a_binary_cloud_event_gives_its_id_and_trace():
    inbound = review([*BINARY, ("traceparent", TRACEPARENT), ("tracestate", b"vendor=1")])
    assert (inbound.event_id, inbound.traceparent, inbound.tracestate) == (
        "event-7",
        TRACEPARENT,
        b"vendor=1",
    )


def test_a_structured_cloud_event_is_told_by_its_content_type():
    inbound = structured([*STRUCTURED, ("traceparent", TRACEPARENT)], time="2026-01-05T08:00:00Z")
    assert isinstance(inbound, Inbound)
    assert (inbound.event_id, inbound.text, inbound.traceparent) == (
        "event-8",
        "Lovely and soft.",
        TRACEPARENT,
    )
    assert inbound.event_at == datetime(2026, 1, 5, 8, tzinfo=UTC)


def test_a_structured_cloud_event_may_carry_its_trace_itself():
    other = TRACEPARENT.replace(b"4bf9", b"4bfa")
    carried = {"traceparent": TRACEPARENT.decode(), "tracestate": "vendor=1"}
    inbound = structured(**carried)
    assert (inbound.traceparent, inbound.tracestate) == (TRACEPARENT, b"vendor=1")
    nearer = structured([*STRUCTURED, ("traceparent", other)], **carried)
    assert (nearer.traceparent, nearer.tracestate) == (other, None)
    for unusable in ("00-xyz", "", 5, None, "x" * 100_000):
        inbound = structured(traceparent=unusable, tracestate="vendor=1")
        assert (inbound.traceparent, inbound.tracestate) == (None, None)
    assert structured(traceparent=TRACEPARENT.decode(), tracestate=["vendor=1"]).tracestate is None


def test_a_structured_cloud_event_may_carry_its_data_in_base64():
    encoded = base64.b64encode(orjson.dumps(REVIEW)).decode()
    assert structured(data=None, data_base64=encoded).text == "Lovely and soft."
    assert structured(data=None, data_base64="%%%").reason is Reason.UNSUPPORTED_ENVELOPE


def test_without_the_content_type_an_envelope_is_an_event_that_lacks_its_fields():
    assert structured(headers=None).reason is Reason.MISSING_FIELD


@pytest.mark.parametrize(
    "type_",
    ["review.posted", "review.posted.v1", "com.example.review.posted", "com.example.review.posted.v1"],
)
def test_a_type_may_carry_a_prefix_and_the_version(type_):
    assert isinstance(review([*BINARY, ("ce_type", type_.encode())]), Inbound)
    assert isinstance(structured(type=type_), Inbound)


@pytest.mark.parametrize("type_", ["listing.created", "review.posted.v2", "preview.posted", "", "review"])
def test_a_type_that_does_not_belong_on_the_topic_is_rejected(type_):
    assert review([*BINARY, ("ce_type", type_.encode())]).reason is Reason.WRONG_TYPE
    assert structured(type=type_).reason is Reason.WRONG_TYPE


def test_a_wrong_type_is_reported_as_one_even_when_the_data_does_not_fit_either():
    assert structured(type="listing.created", data=LISTING).reason is Reason.WRONG_TYPE


def test_batches_and_other_versions_of_cloud_events_are_not_read():
    batch = [("content-type", b"application/cloudevents-batch+json")]
    assert decode(REVIEWS_POSTED, None, b"[]", batch).reason is Reason.UNSUPPORTED_ENVELOPE
    assert review([*BINARY, ("ce_specversion", b"0.3")]).reason is Reason.UNSUPPORTED_ENVELOPE
    assert structured(specversion="2.0").reason is Reason.UNSUPPORTED_ENVELOPE
    assert structured(specversion=1).reason is Reason.UNSUPPORTED_ENVELOPE
    assert structured(data=None).reason is Reason.MISSING_FIELD


@pytest.mark.parametrize("broken", [b"\xff\xfe", b"a\x07b", b"x" * 257, b"", None])
def test_an_unusable_event_id_is_passed_over(broken):
    inbound = review([("ce_specversion", b"1.0"), ("ce_type", b"review.posted"), ("ce_id", broken)])
    assert isinstance(inbound, Inbound)
    assert inbound.event_id is None


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"00-xyz",
        TRACEPARENT + b"\r\n",
        TRACEPARENT.upper(),
        b"ff" + TRACEPARENT[2:],
        b"00-%s-00f067aa0ba902b7-01" % (b"0" * 32),
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-%s-01" % (b"0" * 16),
        b"x" * 1_000_000,
    ],
)
def test_a_malformed_trace_is_dropped_and_its_state_with_it(broken):
    inbound = review([*BINARY, ("traceparent", broken), ("tracestate", b"vendor=1")])
    assert isinstance(inbound, Inbound)
    assert (inbound.traceparent, inbound.tracestate) == (None, None)


def test_a_leap_second_is_the_second_before():
    expected = datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)
    for leap in ("2016-12-31T23:59:60Z", "2017-01-01T07:59:60+08:00"):
        assert review(posted_at=leap).event_at == expected
        assert review([*BINARY, ("ce_time", leap.encode())]).event_at == expected
    assert review(posted_at="2016-12-31T23:59:60.25Z").event_at == expected.replace(microsecond=250_000)
    assert review(posted_at="2016-12-31T23:59:61Z").reason is Reason.INVALID_FIELD
    assert review(posted_at="2016-12-31T23:60:00Z").reason is Reason.INVALID_FIELD


def test_times_are_taken_in_every_documented_form_and_become_utc():
    expected = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    for posted_at in (
        "2026-01-05T08:00:00Z",
        "2026-01-05T16:00:00+08:00",
        "2026-01-05T08:00:00",
        1767600000,
        1767600000000,
    ):
        assert review(posted_at=posted_at).event_at == expected
    assert review([*BINARY, ("ce_time", b"2026-01-05T09:00:00+01:00")]).event_at == expected
    assert review([*BINARY, ("ce_time", b"yesterday")]).event_at is None
    for tolerated in ("1767600000", "1767600000000"):
        assert review(posted_at=tolerated).event_at == expected
    assert review(posted_at="2026-01-05").event_at == datetime(2026, 1, 5, tzinfo=UTC)
    assert review(posted_at="yesterday").reason is Reason.INVALID_FIELD
    assert review(posted_at="9999-12-31T23:59:59-14:00").reason is Reason.INVALID_FIELD
    assert review([*BINARY, ("ce_time", b"9999-12-31T23:59:59-14:00")]).event_at is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-01-05t08:00:00z", datetime(2026, 1, 5, 8, 0, tzinfo=UTC)),  # RFC 3339 allows small letters
        ("2016-12-31T23:59:60z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
        ("1767600000", datetime(2026, 1, 5, 8, 0, tzinfo=UTC)),
        ("2026-W02-1", None),
        ("20260105T080000Z", None),
        ("2026-01-05T08:00:00+00:00:30", None),
    ],
)
def test_a_time_in_a_header_is_read_as_one_in_the_body_is(written, expected):
    assert review([*BINARY, ("ce_time", written.encode())]).event_at == expected
    in_body = review(posted_at=written)
    assert (None if isinstance(in_body, Rejection) else in_body.event_at) == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": 5}, Reason.INVALID_FIELD),
        ({"body": None}, Reason.INVALID_FIELD),
        ({"body": ["a"]}, Reason.INVALID_FIELD),
        ({"rating": "5"}, Reason.INVALID_FIELD),
        ({"rating": True}, Reason.INVALID_FIELD),
        ({"rating": 0}, Reason.INVALID_FIELD),
        ({"rating": 4.5}, Reason.INVALID_FIELD),
        ({"verified_purchase": "yes"}, Reason.INVALID_FIELD),
        ({"listing_id": ""}, Reason.INVALID_FIELD),
        ({"listing_id": "L\n1"}, Reason.INVALID_FIELD),
        ({"listing_id": "L1\u200b"}, Reason.INVALID_FIELD),
        ({"review_id": "\ufeffR1"}, Reason.INVALID_FIELD),
        ({"reviewer_id": "U\u202e1"}, Reason.INVALID_FIELD),
        ({"order_id": "O\u20281"}, Reason.INVALID_FIELD),
        ({"reviewer_id": "u" * 129}, Reason.FIELD_TOO_LONG),
        ({"body": "x" * 50_001}, Reason.FIELD_TOO_LONG),
        ({"title": "x" * 2_001}, Reason.FIELD_TOO_LONG),
        ({"body": " \n\t\u3000"}, Reason.EMPTY_TEXT),
        ({"body": ""}, Reason.EMPTY_TEXT),
    ],
)
def test_mistyped_and_oversized_fields_are_rejected(changes, reason):
    rejection = review(**changes)
    assert isinstance(rejection, Rejection)
    assert rejection.reason is reason


def test_a_whole_rating_may_be_written_as_a_double():
    rating = review(rating=5.0).event.rating
    assert rating == 5
    assert isinstance(rating, int)


def test_what_tagging_does_not_need_may_be_missing_or_malformed_in_a_structured_event_too():
    inbound = structured(type=None, id=5, time=1_700_000_000)
    assert isinstance(inbound, Inbound)
    assert (inbound.event_id, inbound.event_at) == (None, None)
    assert structured(id="x\x00").event_id is None


def test_a_number_is_not_a_title():
    rejection = decode(LISTINGS_CREATED, None, orjson.dumps(LISTING | {"title": 42}), None)
    assert rejection == Rejection(Reason.INVALID_FIELD, "title: string_type")


def test_the_detail_names_fields_and_never_what_a_user_wrote():
    rejection = review(rating="my phone number", title=7, order_id="private\x00")
    assert rejection.reason is Reason.INVALID_FIELD
    assert rejection.detail == "title: string_type; rating: int_type; order_id: string_pattern_mismatch"


def test_unknown_fields_are_ignored():
    assert isinstance(review(colour="red", nested={"a": [1, 2]}), Inbound)


def test_a_tombstone_is_skipped_and_an_empty_value_is_not_json():
    assert decode(REVIEWS_POSTED, b"L-1", None, None) == Skip(SkipReason.TOMBSTONE)
    assert decode(REVIEWS_POSTED, b"L-1", b"", None).reason is Reason.NOT_JSON


def test_a_topic_that_is_not_an_input_is_a_bug_of_the_caller():
    with pytest.raises(KeyError):
        decode("listings.tagged.v1", None, b"{}", None)
