"""`tagline dlq` on a real broker: looking changes nothing, and a redrive sends each dead letter once."""

import json
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from tests.hurt import pause_broker, resume_broker
from tests.open_transactions import has_open_transactions
from worker.cli import main
from worker.contracts.deadletter import REDRIVES, Failure, dead_letter, trimmed
from worker.contracts.outbound import Coordinates, OutboundMessage
from worker.contracts.reasons import Reason, Stage
from worker.contracts.topics import INPUT_TOPICS, REVIEWS_POSTED, dead_letter_topic
from worker.errors import ExitCode
from worker.local.stack import Stack
from worker.settings import load
from worker.stream import redrive as redriving

pytestmark = pytest.mark.integration

DEAD = dead_letter_topic(REVIEWS_POSTED)
WRITTEN = "what a user wrote \x1b[31m"
HEADERS: list[tuple[str, bytes | None]] = [("trace", b"\x00\xff"), ("trace", b"twice"), ("empty", None)]


def letter(
    number: int, reason: Reason = Reason.NOT_JSON, headers: Any = HEADERS, partition: int = 0
) -> OutboundMessage:
    return dead_letter(
        Coordinates(REVIEWS_POSTED, partition, number, 1_700_000_000_000),
        Failure(reason, Stage.PREPARE, "line 1 column 2"),
        key=b"L%d" % number,
        value=b'{"n":%d,"body":"%s"' % (number, WRITTEN.encode()),
        headers=headers,
        group="tagline",
        worker_version="0",
    )


class Bench:
    """Dead letters of one test, a redrive group of its own, and what arrives on the input topic meanwhile."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.reader = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        self.redrive_group = f"{group}.redrive"
        # Of every dead-letter topic: other tests of the same broker leave their own on them.
        positions = [
            TopicPartition(topic, *at)
            for topic in map(dead_letter_topic, INPUT_TOPICS)
            for at in self.ends(topic)
        ]
        for future in self.admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(self.redrive_group, positions)]
        ).values():
            future.result()
        self.from_ = self.ends(REVIEWS_POSTED)

    def ends(self, topic: str) -> list[tuple[int, int]]:
        known = self.reader.list_topics(topic, timeout=10).topics[topic]
        bounds = {
            n: self.reader.get_watermark_offsets(TopicPartition(topic, n), timeout=10)
            for n in known.partitions
        }
        return [(number, low_high[1]) for number, low_high in bounds.items() if low_high]

    def bury(self, letters: Sequence[OutboundMessage]) -> list[str]:
        """Produce them to the first partition and return their coordinates."""
        at: list[str] = []
        producer = Producer({"bootstrap.servers": self._bootstrap})
        for one in letters:
            producer.produce(
                one.topic,
                key=one.key,
                value=one.value,
                headers=one.headers,  # type: ignore[arg-type] # the stub forbids None values
                partition=0,
                on_delivery=lambda error, message: at.append(
                    f"{message.topic()}/{message.partition()}/{message.offset()}"
                ),
            )
        assert producer.flush(10) == 0
        producer.close()
        return at

    def arrived(self) -> list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]:
        """Key, value and headers of everything on the input topic since the test began."""
        self._await_markers()
        self.reader.assign([TopicPartition(REVIEWS_POSTED, *at) for at in self.from_])
        found, left = [], {number for number, _ in self.from_}
        while left:
            message = self.reader.poll(10)
            assert message is not None, "the input topic does not answer"
            error = message.error()
            if error is None:
                found.append((message.key(), message.value(), message.headers()))
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition() or 0)
        return sorted(found, key=lambda one: one[0] or b"")  # type: ignore[arg-type] # bytes; the stub allows str

    def _await_markers(self) -> None:
        """A commit is answered before its markers stand in the partitions, and until then a reader finds the end before them."""
        deadline = time.monotonic() + 20
        while has_open_transactions(self.admin, [REVIEWS_POSTED]):
            assert time.monotonic() < deadline, "a transaction stays open"
            time.sleep(0.05)


@pytest.fixture
def bench(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    main(["topics", "create"])
    group = f"dlq-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("TAGLINE_KAFKA_GROUP_ID", group)
    bench = Bench(bootstrap, group)
    yield bench
    bench.reader.close()
    bench.admin.__exit__(None, None, None)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["dlq", *arguments, "--json"]) == ExitCode.OK
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_the_list_has_coordinates_and_reasons_and_nothing_that_users_wrote(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    (at,) = bench.bury([letter(1, Reason.TOO_DEEP)])
    assert main(["dlq", "list", "--since", "1m", "--reason", "too_deep"]) == ExitCode.OK
    out, _ = capsys.readouterr()
    assert at in out
    assert "too_deep" in out
    assert main(["dlq", "list", "--json", "--limit", "1"]) == ExitCode.OK
    listed = json.loads(capsys.readouterr().out)
    assert (listed["at"], listed["source"]) == (at, f"{REVIEWS_POSTED}/0/1")
    assert "user wrote" not in out + str(listed)


def test_show_tells_why_and_only_when_asked_what(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    (at,) = bench.bury([letter(1)])
    assert main(["dlq", "show", at]) == ExitCode.OK
    plain = capsys.readouterr().out
    assert "line 1 column 2" in plain
    assert "user wrote" not in plain
    assert main(["dlq", "show", at, "--value"]) == ExitCode.OK
    full = capsys.readouterr().out
    assert "what a user wrote \\x1b[31m" in full
    assert "\x1b" not in full
    assert "\\x00\\xff" in full


def test_a_dead_letter_that_is_not_there_ends_with_the_code_for_data(bench: Bench) -> None:
    assert main(["dlq", "show", f"{DEAD}/0/999999999"]) == ExitCode.DATA
    assert main(["dlq", "show", f"{DEAD}/77/0"]) == ExitCode.DATA
    assert main(["dlq", "show", "nonsense"]) == ExitCode.USAGE


def test_a_redrive_restores_the_original_once_and_counts_it(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    letters = [letter(number) for number in range(4)]
    bench.bury(letters)
    report = run(capsys, "redrive")
    assert (report["redriven"], report["left"]) == (4, {})
    expected = [(one.key, one.value, [*HEADERS, (REDRIVES, b"1")]) for one in letters]
    assert bench.arrived() == expected
    assert run(capsys, "redrive")["redriven"] == 0
    assert bench.arrived() == expected


def test_records_go_back_to_the_partition_that_they_came_from_whatever_their_keys(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their producer may place keys by another rule than ours."""
    last = max(number for number, _ in bench.from_)
    assert last > 0
    bench.bury([letter(number, partition=last) for number in range(12)])
    assert run(capsys, "redrive")["redriven"] == 12
    grown = [
        number
        for (number, before), (_, now) in zip(bench.from_, bench.ends(REVIEWS_POSTED), strict=True)
        if now > before
    ]
    assert grown == [last]


def test_more_is_redriven_than_the_producer_holds_at_once(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGLINE_KAFKA_CLIENT_OPTIONS", '{"queue.buffering.max.messages": "10"}')
    bench.bury([letter(number) for number in range(60)])
    assert run(capsys, "redrive")["redriven"] == 60
    assert len(bench.arrived()) == 60


def test_a_dry_run_counts_and_sends_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bury([letter(1)])
    assert run(capsys, "redrive", "--dry-run")["redriven"] == 1
    assert bench.arrived() == []
    assert run(capsys, "redrive")["redriven"] == 1


def test_reasons_left_out_are_redriven_later_and_none_twice(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.bury([letter(number, Reason.NOT_JSON if number % 2 else Reason.TOO_LARGE) for number in range(10)])
    first = run(capsys, "redrive", "--reason", "not_json")
    assert (first["redriven"], first["left"]) == (5, {"other reason": 5})
    assert [key for key, *_ in bench.arrived()] == [b"L%d" % number for number in range(1, 10, 2)]
    second = run(capsys, "redrive")
    assert (second["redriven"], second["left"]) == (5, {})
    assert [key for key, *_ in bench.arrived()] == [b"L%d" % number for number in range(10)]


def test_a_record_that_keeps_coming_back_and_one_without_its_original_stay(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    looping = letter(1, headers=[*HEADERS, (REDRIVES, b"3")])
    twice = letter(2, headers=[*HEADERS, (REDRIVES, b"2")])
    bench.bury([looping, twice, trimmed(letter(3), 0), OutboundMessage(DEAD, b"L4", b"not ours", [])])
    report = run(capsys, "redrive")
    assert report["redriven"] == 1
    assert report["left"] == {"redriven too often": 1, "no original": 1, "foreign": 1}
    assert bench.arrived() == [(twice.key, twice.value, [*HEADERS, (REDRIVES, b"3")])]


def test_a_redrive_that_fails_in_mid_batch_neither_loses_nor_repeats(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.bury([letter(number) for number in range(7)])
    monkeypatch.setattr(redriving, "_BATCH_RECORDS", 3)
    commit, commits = redriving._Outbox.commit, []

    def failing(outbox: Any) -> None:
        commits.append(1)
        if len(commits) == 2:
            raise KafkaException(KafkaError(KafkaError._FAIL))
        commit(outbox)

    monkeypatch.setattr(redriving._Outbox, "commit", failing)
    with pytest.raises(KafkaException):
        redriving.redrive(load(), [DEAD], redriving.Selection())
    assert len(bench.arrived()) == 3
    assert run(capsys, "redrive")["redriven"] == 4
    assert [key for key, *_ in bench.arrived()] == [b"L%d" % number for number in range(7)]


def test_a_redrive_ends_in_time_although_the_broker_hangs_and_the_next_one_goes_on(
    bench: Bench, stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to themselves the client's calls take twice the time that they are given, and its close has no end."""
    if stack.status()[0].owner != "ours":
        pytest.skip("this Kafka is not ours to hurt")
    bench.bury([letter(1)])
    commit, codes = redriving._Outbox.commit, []

    def hung(outbox: Any) -> None:
        if outbox._open_since is not None:
            pause_broker(stack)
            patched.setattr(redriving, "ANSWER_TIMEOUT_S", 1.0)
        commit(outbox)

    with monkeypatch.context() as patched:
        patched.setattr(redriving._Outbox, "commit", hung)
        redrive = threading.Thread(target=lambda: codes.append(main(["dlq", "redrive"])), daemon=True)
        redrive.start()
        try:
            redrive.join(40)
        finally:
            resume_broker(stack)
    assert codes == [ExitCode.DEPENDENCY]
    assert "committing the redrive" in capsys.readouterr().err
    assert run(capsys, "redrive")["redriven"] == 1
    assert [key for key, *_ in bench.arrived()] == [b"L1"]


def test_a_later_redrive_takes_over_from_one_that_was_left_open(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.bury([letter(1)])
    abandoned = Producer(
        {"bootstrap.servers": load().kafka.bootstrap_servers, "transactional.id": bench.redrive_group}
    )
    abandoned.init_transactions(10)
    abandoned.begin_transaction()
    abandoned.produce(REVIEWS_POSTED, b"half", b"sent")
    abandoned.flush(10)
    assert run(capsys, "redrive")["redriven"] == 1
    assert [key for key, *_ in bench.arrived()] == [b"L1"]


def test_a_rate_limit_spreads_a_redrive_over_time(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    import time

    bench.bury([letter(number) for number in range(6)])
    began = time.monotonic()
    assert run(capsys, "redrive", "--rate", "4")["redriven"] == 6
    assert time.monotonic() - began >= 5 / 4
