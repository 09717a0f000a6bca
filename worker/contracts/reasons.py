"""Why a record was dead-lettered or skipped: stable codes that operators and tools match on.

A code is never renamed or given a new meaning; new ones may appear, so tools must accept codes they do not know.
"""

from enum import StrEnum


class Stage(StrEnum):
    """The part of the worker that gave the record up (``dlq.stage``)."""

    INTAKE = "intake"
    PREPARE = "prepare"
    CLASSIFY = "classify"


class Reason(StrEnum):
    """Why a record could not be tagged (``dlq.reason``)."""

    TOO_LARGE = "too_large"
    """The record has more bytes than the worker parses. Raise ``limits.record_bytes`` or shrink it."""
    SCHEMA_REGISTRY_FRAMING = "schema_registry_framing"
    """The value begins with 0x00: it was written through a schema registry, and this worker has none configured."""
    NOT_UTF8 = "not_utf8"
    """The value is not UTF-8."""
    NOT_JSON = "not_json"
    """The value is not JSON (a lone surrogate in an escape counts as such)."""
    TOO_DEEP = "too_deep"
    """The JSON is nested more than 200 deep, which no message of ours is."""
    NUMBER_TOO_LONG = "number_too_long"
    """An integer has more than 4,300 digits, even if in a field that would be ignored."""
    NOT_AN_OBJECT = "not_an_object"
    """The JSON is an array or a scalar."""
    UNSUPPORTED_ENVELOPE = "unsupported_envelope"
    """A CloudEvents batch, a version other than 1.x, or a structured event that cannot be read."""
    WRONG_TYPE = "wrong_type"
    """The CloudEvents type does not belong on this topic."""
    MISSING_FIELD = "missing_field"
    """A required field is missing."""
    INVALID_FIELD = "invalid_field"
    """A field has the wrong type or a value out of its range."""
    FIELD_TOO_LONG = "field_too_long"
    """A text or id is longer than its limit."""
    EMPTY_TEXT = "empty_text"
    """Nothing is left to classify: blank, or only characters that normalisation drops."""
    UNCLASSIFIABLE = "unclassifiable"
    """The model failed on this one text (an error, or results that are not numbers) while its neighbours were fine."""
    UNREADABLE = "unreadable"
    """The client cannot deliver the record (a compression bomb, say), and the dead letter holds its coordinates only; or cannot
    deliver its headers, because a name is not UTF-8, and it holds all but these."""
    QUARANTINED = "quarantined"
    """The process died several times while it worked on this record, the last times on this record alone."""


class SkipReason(StrEnum):
    """Why a record has neither an output nor a dead letter. Counted, so that nothing leaves unaccounted."""

    TOMBSTONE = "tombstone"
    """The record has no value: a deletion on a compacted topic."""
