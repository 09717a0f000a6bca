"""What producers send: ``listing.created`` and ``review.posted``.

Readers are tolerant where it costs nothing and strict where a guess would end up in somebody's ranking:

* unknown fields are ignored, whatever they hold (a ``NaN`` too); of a key that occurs twice the last one counts;
* a field of the wrong type is an error: a number is not a title, ``"5"`` and ``true`` are neither ratings nor prices;
* every string has a limit in characters, checked here, before normalisation; the normaliser has its own afterwards;
* ids may not hold control or invisible characters or be blank, because they become keys and headers; texts may (the
  normaliser drops them);
* times are RFC 3339 strings or Unix times in seconds or milliseconds, these in a string too; one without a zone is taken as
  UTC, a date alone as its midnight, and a leap second as the second before.

Events are told apart by ``type(event) is ...``: ``isinstance`` of a pydantic model runs Python code, 0.4 us each time (measured),
and a record is asked six times. The models are final, so the two mean the same.
"""

from datetime import UTC, datetime
from typing import Annotated, final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema

from worker.characters import UNPRINTABLE_BASIC, UNPRINTABLE_ENCODED

TITLE_MAX_CHARS = 2_000
BODY_MAX_CHARS = 50_000


def _id_pattern(unprintable: str) -> str:
    """None of these, and not white space alone."""
    return rf"^[^{unprintable}]*[^{unprintable}\s][^{unprintable}]*$"


Id = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        pattern=_id_pattern(UNPRINTABLE_ENCODED),
        # The exported schema says less than the reader: many engines cannot read classes beyond U+FFFF.
        json_schema_extra={"pattern": _id_pattern(UNPRINTABLE_BASIC)},
    ),
]
_Locale = Annotated[str, Field(max_length=35)]


def _whole(value: object) -> object:
    """``5.0``, as languages whose numbers are all doubles write 5, for 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Rating = Annotated[int, Field(strict=True, ge=1, le=5), BeforeValidator(_whole)]
_Flag = Annotated[bool, Field(strict=True)]


def _time(value: object) -> object:
    """A time with second 60, which RFC 3339 allows and Python cannot hold, as the second before; anything else as it is."""
    return f"{value[:17]}59{value[19:]}" if isinstance(value, str) and value[16:19] == ":60" else value


_Time = Annotated[
    datetime | None,
    BeforeValidator(_time),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                # The years 1 and 9999 in milliseconds: what Python can hold.
                {"type": "number", "minimum": -62_135_596_800_000, "maximum": 253_402_300_799_999},
                {"type": "null"},
            ],
            "description": "RFC 3339, or Unix seconds, or milliseconds when beyond 20,000,000,000 (the year 2603).",
        }
    ),
]


_WRITTEN_TIME = TypeAdapter(Annotated[datetime, BeforeValidator(_time)])


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Price(_Read):
    """What a listing costs. Carried for readers of the same topic; tagging does not use it."""

    amount: Annotated[float, Field(strict=True)]
    currency: Annotated[str, Field(min_length=1, max_length=8)]


@final
class ListingCreated(_Read):
    """A seller put a product on sale, or changed its title. The title is what is tagged."""

    listing_id: Id
    seller_id: Id
    title: Annotated[str, Field(max_length=TITLE_MAX_CHARS)]
    description: Annotated[str, Field(max_length=100_000)] | None = None
    category: Annotated[str, Field(max_length=512)] | None = None
    brand: Annotated[str, Field(max_length=256)] | None = None
    price: Price | None = None
    locale: _Locale | None = None
    created_at: _Time = None


@final
class ReviewPosted(_Read):
    """A buyer reviewed a listing. Title and body together are what is tagged."""

    review_id: Id
    listing_id: Id
    reviewer_id: Id
    body: Annotated[str, Field(max_length=BODY_MAX_CHARS)]
    title: Annotated[str, Field(max_length=TITLE_MAX_CHARS)] | None = None
    rating: _Rating | None = None
    order_id: Id | None = None
    verified_purchase: _Flag | None = None
    locale: _Locale | None = None
    posted_at: _Time = None


def text_of(event: ListingCreated | ReviewPosted) -> str:
    """The text that is classified: a listing's title; a review's title, a newline, and its body.

    Joined, because reviewers put the verdict in either ("Disappointed" / "See photos"). A listing's description is left
    out: it is long, written to sell, and says little about tone that the title does not.
    """
    if type(event) is ListingCreated:
        return event.title
    return f"{event.title}\n{event.body}" if event.title else event.body


def time_of(event: ListingCreated | ReviewPosted) -> datetime | None:
    """When it happened, in UTC, as far as the producer said so.

    Raises OverflowError for the last hours of the year 9999 in western zones, which UTC cannot express.
    """
    at = event.created_at if type(event) is ListingCreated else event.posted_at
    return None if at is None else in_utc(at)


def in_utc(at: datetime) -> datetime:
    """The same moment in UTC; a time without a zone is taken as UTC. Raises OverflowError as ``time_of`` does."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def read_time(written: str) -> datetime:
    """A time outside the body (``ce_time``), read as those in the body are, in UTC.

    Raises ValueError for what is no time, and OverflowError as ``time_of`` does.
    """
    return in_utc(_WRITTEN_TIME.validate_python(written))
