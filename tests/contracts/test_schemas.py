"""Exported contracts: in step with the code, and compatible with what subscribers built on."""

import json
import re
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from typer.testing import CliRunner

from worker.cli.contracts import app
from worker.contracts import schemas
from worker.contracts.asyncapi import asyncapi_document
from worker.contracts.catalogue import CATALOGUE, LISTING_CREATED, REVIEW_POSTED
from worker.contracts.envelope import Inbound, decode
from worker.contracts.reasons import Reason, SkipReason
from worker.contracts.topics import TOPICS
from worker.errors import DataError
from worker.signals.examples import golden_examples

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "contracts"


@pytest.fixture
def folder(tmp_path):
    """A copy of the committed contracts, to be spoilt."""
    return Path(shutil.copytree(COMMITTED, tmp_path / "contracts"))


def edit(path, change):
    """Change a JSON document in place."""
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", "utf-8")


def kinds(folder):
    return {problem.kind for problem in schemas.check(folder, golden_examples())}


def incompatible(folder):
    found = [
        problem for problem in schemas.check(folder, golden_examples()) if problem.kind == "incompatible"
    ]
    return [problem.detail for problem in found]


def test_the_committed_contracts_are_those_of_the_code():
    assert schemas.check(COMMITTED, golden_examples()) == []


@pytest.mark.parametrize("type_", CATALOGUE, ids=lambda type_: type_.name)
def test_every_message_has_examples_that_its_schema_and_its_model_accept(type_):
    schema = json.loads((COMMITTED / f"schemas/{type_.versioned}.json").read_text("utf-8"))
    examples = json.loads((COMMITTED / f"examples/{type_.versioned}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    assert len(examples) >= 2
    for example in examples:
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
            example["value"]
        )
        type_.model.model_validate(example["value"])
        assert example["topic"] == type_.topic
        assert example["key"] == example["value"][type_.key_field]


@pytest.mark.parametrize(
    "type_", [t for t in CATALOGUE if t.direction == "out"], ids=lambda type_: type_.name
)
def test_published_schemas_are_closed_and_promise_every_field(type_):
    schema = schemas.json_schema(type_)
    for part in (schema, *schema["$defs"].values()):
        if part["type"] == "object":
            assert part["additionalProperties"] is False
            assert sorted(part["required"]) == sorted(part["properties"])


@pytest.mark.parametrize("type_", [t for t in CATALOGUE if t.direction == "in"], ids=lambda type_: type_.name)
def test_input_schemas_are_open(type_):
    assert "additionalProperties" not in schemas.json_schema(type_)


FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time")
def _is_date_time(value):
    """RFC 3339, its calendar left to the reader: jsonschema brings no check of this format with it."""
    shape = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)"
    return not isinstance(value, str) or re.fullmatch(shape, value) is not None


LISTING = {"listing_id": "L-1", "seller_id": "S-1", "title": "Wool scarf"}
REVIEW = {"review_id": "R-1", "listing_id": "L-1", "reviewer_id": "U-1", "body": "Lovely."}
NO_TIMES = (
    True,
    [],
    {},
    "yesterday",
    "",
    "2026-01-05T08:30:61Z",
    1e30,
    253_402_300_800_000,
    -62_135_596_800_001,
)
TIMES = (
    None, "2026-01-05T08:30:00Z", "2026-01-05t08:30:00.123456789z", "2026-01-05T08:30:00+08:00", "2016-12-31T23:59:60Z",
    1_767_601_800, 1_767_601_800.5, 1_767_601_800_000, -1, 0, 253_402_300_799_999, -62_135_596_800_000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("type_", "base", "field", "accepted", "refused"),
    [
        (LISTING_CREATED, LISTING, "created_at", TIMES, NO_TIMES),
        (REVIEW_POSTED, REVIEW, "posted_at", TIMES, NO_TIMES),
        (
            LISTING_CREATED,
            LISTING,
            "price",
            [None, *({"amount": amount, "currency": "CNY"} for amount in (12, 12.5, 0, -1, 1e300))],
            [{"amount": amount, "currency": "CNY"} for amount in ("12", True, None, [])]
            + ["12", {"amount": 1}],
        ),
        (REVIEW_POSTED, REVIEW, "rating", (None, 1, 5, 5.0), ("5", True, 4.5, 0, 6)),
        (REVIEW_POSTED, REVIEW, "verified_purchase", (None, True, False), ("true", 1, 0)),
        (REVIEW_POSTED, REVIEW, "title", (None, "", "x" * 2_000), (5, True, "x" * 2_001)),
        (REVIEW_POSTED, REVIEW, "locale", (None, "zh-CN"), (5, "x" * 36)),
        (
            REVIEW_POSTED,
            REVIEW,
            "order_id",
            (None, "订单 9", " 9", "x" * 128),
            ("", " ", "\u00a0", "9\u200b", "9\u3164", "9\ufe0f", "9\t", 9, "x" * 129),
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_the_exported_schema_and_the_reader_take_and_refuse_the_same(type_, base, field, accepted, refused):
    schema = Draft202012Validator(schemas.json_schema(type_), format_checker=FORMATS)
    for value, good in [*((value, True) for value in accepted), *((value, False) for value in refused)]:
        event = base | {field: value}
        read = decode(type_.topic, None, json.dumps(event).encode(), None)
        assert (schema.is_valid(event), isinstance(read, Inbound)) == (good, good), value


def test_every_dataschema_resolves():
    for type_ in CATALOGUE:
        assert schemas.resolve(type_.dataschema)["$id"] == type_.dataschema
    with pytest.raises(KeyError):
        schemas.resolve("urn:tagline:schema:review.tagged:9")


def test_drift_is_found_in_either_direction(folder):
    edit(folder / "schemas/review.tagged.v1.json", lambda schema: schema.update(description="older words"))
    assert kinds(folder) == {"drift"}
    (folder / "schemas/review.tagged.v1.json").unlink()
    assert [p.detail for p in schemas.check(folder, golden_examples())] == ["missing"]


def test_an_edited_example_is_drift(folder):
    edit(folder / "examples/ads.signal.v1.json", lambda examples: examples[0]["headers"].pop("ce_id"))
    assert kinds(folder) == {"drift"}


def test_a_file_of_a_message_that_is_gone_is_incompatible(folder):
    shutil.copy(folder / "schemas/ads.signal.v1.json", folder / "schemas/spam.signal.v1.json")
    assert incompatible(folder) == ["this message is gone"]


def test_an_old_reader_that_would_reject_a_new_example_is_found(folder):
    def was_a_string(schema):
        schema["properties"]["weight"] = {"type": "string"}

    edit(folder / "schemas/ranking.signal.v1.json", was_a_string)
    assert any("an old reader rejects a new example: weight: fails `type`" in d for d in incompatible(folder))


def test_an_old_example_that_the_new_reader_would_reject_is_found(folder):
    edit(folder / "examples/review.posted.v1.json", lambda examples: examples[0]["value"].pop("body"))
    assert incompatible(folder) == ["the new reader rejects an old example: body: missing"]


def test_an_old_example_with_a_field_that_is_gone_is_read_tolerantly(folder):
    edit(folder / "examples/ads.signal.v1.json", lambda examples: examples[0]["value"].update(gone=1))
    assert incompatible(folder) == []


def test_a_promised_field_that_is_gone_is_incompatible(folder):
    def had_another(schema):
        schema["properties"]["votes"] = {"type": "integer"}
        schema["required"].append("votes")

    edit(folder / "schemas/review.tagged.v1.json", had_another)
    assert "votes: was always there, and now is not" in incompatible(folder)


def test_a_field_that_an_input_newly_requires_is_incompatible(folder):
    edit(folder / "schemas/listing.created.v1.json", lambda schema: schema["required"].remove("seller_id"))
    assert incompatible(folder) == ["seller_id: is required now, and was not"]


def test_a_label_that_old_readers_do_not_know_is_incompatible(folder):
    def had_two(schema):
        schema["$defs"]["Sentiment"]["properties"]["label"]["enum"].remove("neutral")

    edit(folder / "schemas/review.tagged.v1.json", had_two)
    assert "sentiment.label: published readers do not know neutral" in incompatible(folder)


def drop_null(schema, name):
    schema["properties"][name]["anyOf"].remove({"type": "null"})


@pytest.mark.parametrize(
    ("file", "change", "found"),
    [
        (
            "ranking.signal",
            lambda old: drop_null(old, "review_id"),
            "review_id: published readers do not know null",
        ),
        (
            "ranking.signal",
            lambda old: old["properties"]["weight"].update(maximum=0.5),
            "weight: published readers do not know number with maximum 1, not 0.5",
        ),
        (
            "ads.signal",
            lambda old: old["properties"]["reasons"]["items"].update(type="integer"),
            "reasons[]: published readers do not know string",
        ),
        (
            "review.posted",
            lambda old: old["properties"]["body"].update(maxLength=60_000),
            "body: producers still send string with maxLength 60000, not 50000",
        ),
        (
            "review.posted",
            lambda old: old["properties"]["body"].update(anyOf=[{"type": "string"}, {"type": "null"}]),
            "body: producers still send null",
        ),
        (
            "review.posted",
            lambda old: old["properties"]["rating"]["anyOf"][0].update(type="string"),
            "rating: producers still send string",
        ),
        (
            "review.posted",
            lambda old: old["properties"]["review_id"].update(pattern="^.+$"),
            "review_id: producers still send string with pattern ^.+$, not ^",
        ),
    ],
    ids=["null", "range", "items", "length", "no null", "type", "pattern"],
)
def test_values_that_one_side_does_not_know_are_incompatible(folder, file, change, found):
    """The committed state is made the older one, from which the code would then have departed."""
    edit(folder / f"schemas/{file}.v1.json", change)
    assert any(detail.startswith(found) for detail in incompatible(folder)), incompatible(folder)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("ranking.signal", lambda old: old["properties"]["weight"].update(maximum=100)),
        (
            "ranking.signal",
            lambda old: old["properties"]["weight"].update(anyOf=[{"type": "number"}, {"type": "null"}]),
        ),
        ("review.posted", lambda old: old["properties"]["body"].update(maxLength=500)),
        ("review.posted", lambda old: drop_null(old, "title")),
    ],
    ids=["a narrower range", "never null", "a longer text", "null too"],
)
def test_publishing_less_and_accepting_more_is_drift_but_compatible(folder, file, change):
    edit(folder / f"schemas/{file}.v1.json", change)
    assert kinds(folder) == {"drift"}


def test_a_new_optional_field_is_drift_but_compatible(folder):
    def had_fewer(schema):
        schema["properties"].pop("weight")
        schema["required"].remove("weight")

    edit(folder / "schemas/ranking.signal.v1.json", had_fewer)
    assert kinds(folder) == {"drift"}


def test_exporting_over_an_incompatible_state_is_refused_and_writes_nothing(folder):
    edit(folder / "schemas/listing.created.v1.json", lambda schema: schema["required"].remove("seller_id"))
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    with pytest.raises(DataError, match="seller_id"):
        schemas.export(folder, golden_examples())
    assert before == {path: path.read_bytes() for path in folder.rglob("*.json")}


def test_exporting_mends_drift(folder):
    edit(folder / "asyncapi.json", lambda document: document.update(asyncapi="2.0.0"))
    schemas.export(folder, golden_examples())
    assert schemas.check(folder, golden_examples()) == []


def test_the_asyncapi_document_describes_every_topic_and_its_references_resolve():
    document = asyncapi_document()
    assert set(document["channels"]) == {topic.name for topic in TOPICS}

    def references(part):
        if isinstance(part, dict):
            if "$ref" in part:
                yield part["$ref"]
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                yield from references(inner)

    for reference in references(document):
        if reference.startswith("#/"):
            found = document
            for step in reference[2:].split("/"):
                found = found[step]
        else:
            assert (COMMITTED / reference).is_file()


def test_the_commands_report_and_exit_as_documented(folder):
    runner = CliRunner()
    fresh = folder.parent / "fresh"
    exported = runner.invoke(app, ["export", "--to", str(fresh)])
    assert exported.exit_code == 0
    assert str(fresh / "asyncapi.json") in exported.stdout
    good = runner.invoke(app, ["check", "--against", str(fresh), "--json"], standalone_mode=False)
    assert json.loads(good.stdout) == {"ok": True, "problems": []}
    assert good.return_value == 0
    (fresh / "asyncapi.json").write_text("{}", "utf-8")
    bad = runner.invoke(app, ["check", "--against", str(fresh)], standalone_mode=False)
    assert bad.return_value == 6
    assert "drift: asyncapi.json: differs from the code at line 1" in bad.stdout
    none = ["check", "--against", str(folder.parent / "nothing"), "--json"]
    nothing = runner.invoke(app, none, standalone_mode=False)
    assert isinstance(nothing.exception, DataError)
    (problem,) = json.loads(nothing.stdout)["problems"]
    assert problem["detail"].startswith("no exported contracts in ")
    assert runner.invoke(app, none[:-1], standalone_mode=False).stdout == ""


def test_the_guide_names_every_reason_and_topic():
    guide = (ROOT / "docs" / "contracts.md").read_text("utf-8")
    for code in (*Reason, *SkipReason):
        assert f"`{code.value}`" in guide
    for topic in TOPICS:
        assert f"`{topic.name}`" in guide
