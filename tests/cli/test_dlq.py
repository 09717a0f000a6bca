"""`tagline dlq` without a broker: what is printed of headers that anybody may have written."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, cast

import pytest

from worker.cli import main
from worker.contracts.deadletter import Failure, dead_letter, read_dead_letter
from worker.contracts.outbound import Coordinates
from worker.contracts.reasons import Reason, Stage
from worker.contracts.topics import REVIEWS_POSTED
from worker.errors import DataError, ExitCode
from worker.stream import dead_letter_tools, reading, redrive
from worker.stream.dead_letter_tools import Letter
from worker.stream.record import Partition, Record

EVIL = b"not_json\x1b[2J\nreviews.posted.v1.dlq.v1/0/8 forged"


def forged() -> Letter:
    made = dead_letter(
        Coordinates(REVIEWS_POSTED, 0, 7, 1_700_000_000_000),
        Failure(Reason.NOT_JSON, Stage.PREPARE, "line 1"),
        key=b"L-1",
        value=b"{",
        headers=[],
        group="tagline",
        worker_version="0",
    )
    headers = [(name, EVIL if name in {"dlq.reason", "dlq.stage"} else value) for name, value in made.headers]
    record = Record(made.topic, 0, 7, 1_700_000_000_000, made.key, made.value, headers)
    return Letter(record, read_dead_letter(headers))


def test_a_dead_letter_cannot_forge_a_line_of_the_listing_or_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def letters(*_: Any, **__: Any) -> Iterator[Letter]:
        yield forged()

    monkeypatch.setattr(reading, "Reader", lambda *_: nullcontext())
    monkeypatch.setattr(dead_letter_tools, "letters", letters)
    assert main(["dlq", "list"]) == ExitCode.OK
    output = capsys.readouterr()
    assert output.out.count("\n") == 1
    assert output.err.count("\n") == 1
    assert "\x1b" not in output.out + output.err


def test_nor_the_report_of_a_redrive(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def send_back(*_: Any, **__: Any) -> redrive.Report:
        report = redrive.Report()
        report.verdicts["redriven"] += 1
        report.reasons[EVIL.decode()] += 1
        return report

    monkeypatch.setattr(redrive, "redrive", send_back)
    assert main(["dlq", "redrive"]) == ExitCode.OK
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    assert "\x1b" not in output


def test_of_an_empty_partition_no_range_of_offsets_is_told() -> None:
    class Empty:
        def partitions(self, _topics: list[str]) -> list[Partition]:
            return [("t", 0)]

        def bounds(self, _partitions: list[Partition]) -> dict[Partition, tuple[int, int]]:
            return {("t", 0): (0, 0)}

    with pytest.raises(DataError) as raised:
        dead_letter_tools.letter_at(cast("reading.Reader", Empty()), "t", 0, 0)
    assert raised.value.hint == "the partition holds nothing"
