"""Exported contracts: in step with the code, and compatible with what subscribers built on."""

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from worker.cli.contracts import app
from worker.contracts import schemas
from worker.contracts.asyncapi import asyncapi_document
from worker.contracts.catalogue import CATALOGUE
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
    nothing = runner.invoke(
        app, ["check", "--against", str(folder.parent / "nothing")], standalone_mode=False
    )
    assert isinstance(nothing.exception, DataError)


def test_the_guide_names_every_reason_and_topic():
    guide = (ROOT / "docs" / "contracts.md").read_text("utf-8")
    for code in (*Reason, *SkipReason):
        assert f"`{code.value}`" in guide
    for topic in TOPICS:
        assert f"`{topic.name}`" in guide
