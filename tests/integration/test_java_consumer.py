"""The consumer in Java of docs/contracts.md, as it stands there, compiled and run against what a worker publishes."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.integration.arena import Arena, review
from tests.waiting import wait_until
from worker.errors import ExitCode
from worker.local import java
from worker.local.stack import KAFKA_VARIABLE, kafka_class_path

PAGE = Path(__file__).resolve().parents[2] / "docs/contracts.md"
QUICK_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("javac") is None, reason="no javac on the path to compile it with"),
]


def sample(group: str) -> str:
    """The document's code with a group of this test's own; nothing else of it is changed."""
    (code,) = re.findall(r"```java\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert code.count('"my-team"') == 1
    return str(code).replace('"my-team"', f'"{group}"')


def test_the_sample_of_the_document_prints_each_committed_review_once(arena: Arena, tmp_path: Path) -> None:
    class_path = compiled(tmp_path, group=f"{arena.group}-java")
    worker = arena.worker()
    feed(arena, 1)
    publish_again(arena, tmp_path.name)
    feed(arena, 2)
    assert worker.stop() == ExitCode.OK
    labels = [one.event["sentiment"]["label"] for one in arena.seen if one.topic == "reviews.tagged.v1"]

    expected = [f"{arena.group}-{number} {label}" for number, label in enumerate((labels[0], labels[-1]), 1)]
    printed = tmp_path / "printed"
    with printed.open("w") as out:
        consumer = subprocess.Popen(
            [java.find(os.environ), *QUICK_JVM, "-cp", class_path, "ReviewsTagged"],
            stdout=out,
            env=os.environ | {KAFKA_VARIABLE: arena.bootstrap},
        )
    try:
        wait_until(lambda: expected[-1] in printed.read_text("utf-8").splitlines(), 60)
    finally:
        consumer.kill()
        consumer.wait()
    lines = [line for line in printed.read_text("utf-8").splitlines() if line.startswith(arena.group)]
    assert lines == expected


def compiled(folder: Path, group: str) -> str:
    """The class path that the compiled sample runs from: it and the stack's own jars."""
    source = folder / "ReviewsTagged.java"
    source.write_text(sample(group), "utf-8")
    jars = kafka_class_path(os.environ, lambda _: None)
    options = ["-J-XX:TieredStopAtLevel=1", "-encoding", "UTF-8", "--release", str(java.MINIMUM)]
    subprocess.run(["javac", *options, "-cp", jars, "-d", str(folder), str(source)], check=True)
    return os.pathsep.join([str(folder), jars])


def feed(arena: Arena, number: int) -> None:
    """A review of one and the same listing, and wait until it was tagged."""
    arena.feed_event(review(number, "good", "l1") | {"review_id": f"{arena.group}-{number}"})
    arena.settle_feed()
    arena.wait_for_outcomes()


def publish_again(arena: Arena, transactional_id: str) -> None:
    """What a crash may leave behind: the last event of reviews.tagged.v1 twice, and another in an aborted transaction."""
    (tagged,) = [one for one in arena.seen if one.topic == "reviews.tagged.v1"]
    producer = Producer(
        {"bootstrap.servers": arena.bootstrap, "transactional.id": transactional_id, "partitioner": "murmur2"}
    )
    producer.init_transactions(30)
    for ce_id, finish in (
        (tagged.headers["ce_id"], producer.commit_transaction),
        (b"other", producer.abort_transaction),
    ):
        producer.begin_transaction()
        headers = [*(tagged.headers | {"ce_id": ce_id}).items()]
        producer.produce(tagged.topic, tagged.value, tagged.key, headers=headers)
        producer.flush(30)
        finish(30)
    producer.close()
