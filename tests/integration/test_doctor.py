"""`tagline doctor` against a real broker and a real cache."""

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.integration.redis_faults import PrivateValkey
from worker.cli import main
from worker.doctor.cache import check
from worker.errors import ExitCode
from worker.settings import load

pytestmark = pytest.mark.integration


def report(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and the findings by their check."""
    capsys.readouterr()
    code = main(["doctor", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["exit_code"] == code
    return code, {finding["check"]: finding for finding in document["findings"]}


def test_a_stack_as_it_should_be_passes_every_check(
    bootstrap: str, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["topics", "create"]) == 0
    code, findings = report(capsys)

    assert code == 0, findings
    assert {name: finding["level"] for name, finding in findings.items()} == dict.fromkeys(
        ("versions", "model", "clients", "broker", "topics", "group", "redis", "time-outs"), "ok"
    )


def test_a_broker_that_does_not_answer_skips_what_needs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAGLINE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    code, findings = report(capsys)

    assert code == ExitCode.DEPENDENCY
    assert findings["broker"]["level"] == "failed"
    assert "tagline local up" in findings["broker"]["hint"]
    assert findings["topics"]["level"] == findings["group"]["level"] == "skipped"


def test_a_damaged_bundle_fails_with_the_model_s_exit_code(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAGLINE_MODEL_BUNDLE", str(tmp_path))
    code, findings = report(capsys)

    assert code == ExitCode.MODEL
    assert findings["model"]["level"] == "failed"
    assert findings["broker"]["level"] == "ok", "later checks still run"


def test_an_offset_that_is_no_longer_in_the_topic_fails_as_data(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["topics", "create"]) == 0
    group = "doctor-out-of-range"
    monkeypatch.setenv("TAGLINE_KAFKA_GROUP_ID", group)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    _, end = consumer.get_watermark_offsets(TopicPartition("listings.created.v1", 0), timeout=30)
    consumer.commit(offsets=[TopicPartition("listings.created.v1", 0, end + 1000)], asynchronous=False)
    consumer.close()

    code, findings = report(capsys)
    assert code == ExitCode.DATA
    assert f"listings.created.v1[0] at {end + 1000:,}" in findings["group"]["detail"]


def test_a_redis_user_that_may_not_ask_for_facts_is_a_warning_and_one_that_may_not_read_a_failure(
    tmp_path: Path,
) -> None:
    users = [
        word
        for name, allowed in (("cache", ("+mget", "+set")), ("nobody", ("+ping",)))
        for word in ("--user", name, "on", ">right", "~*", "-@all", "+select", *allowed)
    ]
    server = PrivateValkey(*users, folder=tmp_path).start()
    try:
        found = [
            check(load({"redis.url": server.url.replace("//", f"//{user}:right@")}))
            for user in ("cache", "nobody")
        ]
    finally:
        server.stop()
    assert [[finding.level for finding in findings] for findings in found] == [["warning"], ["failed"]]
    assert "not how it is set up" in found[0][0].detail


def test_a_redis_that_takes_no_writes_is_a_warning(tmp_path: Path) -> None:
    reader = ("--user", "reader", "on", ">right", "~*", "+@all", "-set")
    primary = PrivateValkey(*reader, folder=tmp_path).start()
    replica = PrivateValkey("--replicaof", "127.0.0.1", str(primary.port), folder=tmp_path).start()
    try:
        found = [
            check(load({"redis.url": url}))
            for url in (primary.url.replace("//", "//reader:right@"), replica.url, primary.url)
        ]
    finally:
        replica.stop()
        primary.stop()
    assert ["no writes" in " ".join(finding.detail for finding in findings) for findings in found] == [
        True,
        True,
        False,
    ]
