"""The crash journal: whom it suspects after a death, and when it lets go."""

import os
import zlib
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from tests.stream.fakes import failed
from tests.stream.intake_bench import BOTH, Bench, nothing_more
from worker.contracts.reasons import Reason
from worker.errors import DeviceError, ModelError, StuckError, UsageError
from worker.stream.journal import LIVES, Journal, open_journal
from worker.stream.microbatch import MicroBatch
from worker.stream.record import Fault, Record
from worker.stream.stages import Finished

PARTITION = ("t", 0)


def record(offset: int, partition: int = 0, topic: str = "t") -> Record:
    return Record(topic, partition, offset, 0, None, b"", [])


def batch(*offsets: int, partition: int = 0) -> MicroBatch:
    return MicroBatch([record(offset, partition) for offset in offsets], {}, 0, None, 0, 0)


def suspected(journal: Journal, offsets: range) -> dict[int, int]:
    return {offset: deaths for offset in offsets if (deaths := journal.deaths(record(offset)))}


def die(journal: Journal) -> None:
    """What the kernel does when a process dies: the lock goes, the file stays as it is."""
    assert journal._file is not None
    os.close(journal._file)
    journal._file = None


def test_a_first_life_suspects_nobody(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "new" / "journal")
    assert not journal.suspicious
    assert journal.deaths(record(0)) == 0


def test_what_was_at_work_at_a_death_is_suspected_and_what_was_done_is_not(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    first, second = batch(0, 1, 2), batch(3, 4)
    journal.begin(first)
    journal.begin(second)
    journal.end(first)
    die(journal)
    journal = open_journal(tmp_path / "journal")
    assert suspected(journal, range(10)) == {3: 1, 4: 1}
    assert journal.deaths(record(3, partition=1)) == journal.deaths(record(3, topic="u")) == 0


def test_a_record_alone_at_every_further_death_reaches_the_limit_and_the_others_are_cleared(
    tmp_path: Path,
) -> None:
    journal = open_journal(tmp_path / "journal")
    journal.begin(batch(5, 6, 7, 8))
    for life in range(2, LIVES + 1):
        die(journal)
        journal = open_journal(tmp_path / "journal")
        if life == 2:
            done = batch(5)
            journal.begin(done)
            journal.end(done)
        assert suspected(journal, range(10)) == {6: life - 1, 7: 1, 8: 1}
        journal.begin(batch(6))
    die(journal)
    journal = open_journal(tmp_path / "journal")
    assert suspected(journal, range(10)) == {6: LIVES, 7: 1, 8: 1}
    done = batch(6, 7, 8)
    journal.begin(done)
    journal.end(done)
    journal.safe(done, [PARTITION])
    assert not journal.suspicious
    die(journal)
    assert not open_journal(tmp_path / "journal").suspicious


@pytest.mark.parametrize("others", [(7, 8, 9), (5, 7, 8)])
def test_a_record_that_is_given_up_leaves_its_neighbours_their_lives(
    tmp_path: Path, others: tuple[int, ...]
) -> None:
    journal = open_journal(tmp_path / "journal")
    for _ in range(LIVES):
        journal.begin(batch(6))
        die(journal)
        journal = open_journal(tmp_path / "journal")
    assert suspected(journal, range(10)) == {6: LIVES}
    together = batch(*sorted((6, *others)))
    together.records = [
        record._replace(fault=Fault(Reason.QUARANTINED, "")) if record.offset == 6 else record
        for record in together.records
    ]
    journal.begin(together)
    die(journal)
    journal = open_journal(tmp_path / "journal")
    after = suspected(journal, others)
    assert set(after) == set(others)
    assert set(after.values()) == {1}
    journal.begin(together)
    journal.end(together)
    journal.safe(together, [PARTITION])
    assert not journal.suspicious


def given_up(path: Path, offset: int) -> Journal:
    """The journal of a life that is the first to give this record up."""
    for _ in range(LIVES):
        journal = open_journal(path)
        journal.begin(batch(offset))
        die(journal)
    return open_journal(path)


def test_a_record_that_is_given_up_stays_so_until_its_dead_letter_is_safe(tmp_path: Path) -> None:
    """Its transaction may be rolled back, its partition go and come back, the process end: it is read again, and is known."""
    journal = given_up(tmp_path / "journal", 6)
    for _ in range(2):
        alone = batch(6)
        alone.records = [alone.records[0]._replace(fault=Fault(Reason.QUARANTINED, ""))]
        journal.begin(alone)
        journal.end(alone)
        assert suspected(journal, range(10)) == {6: LIVES}
        die(journal)
        journal = open_journal(tmp_path / "journal")
    journal.safe(alone, [("t", 1)])  # another partition's share of it was committed
    assert journal.suspicious
    journal.safe(alone, [PARTITION])
    assert not journal.suspicious
    die(journal)
    assert not open_journal(tmp_path / "journal").suspicious


def looked_at(bench: Bench, journal: Journal) -> None:
    """Let the stages of the bench note what is at work, as the line's do."""
    submit = bench.stages.submit

    def submitted(batch: MicroBatch) -> None:
        journal.begin(batch)
        journal.end(batch)
        submit(batch)

    bench.stages.submit = submitted  # type: ignore[method-assign] # to play it


def test_a_record_that_is_given_up_comes_back_from_a_roll_back_as_such(tmp_path: Path) -> None:
    journal = given_up(tmp_path / "journal", 6)
    bench = Bench(journal=journal, transactional=True)
    looked_at(bench, journal)
    bench.stages.at_once = False

    def end(*, published: bool) -> None:
        bench.stages.done.extend(Finished(b, published=published) for b in bench.intake._in_flight)
        bench.stages.rewinds = 0 if published else 1

    bench.feed(6)
    bench.consumer.to_read += [nothing_more, lambda: end(published=False), nothing_more]
    bench.feed(6)
    seen: list[bool] = []
    bench.run(12, then=lambda: (seen.append(journal.suspicious), end(published=True))[0])
    records = [record for batch in bench.stages.submitted for record in batch.records]
    assert [record.fault.reason if record.fault else None for record in records] == [Reason.QUARANTINED] * 2
    assert seen == [True]
    assert not journal.suspicious


@pytest.mark.parametrize("interval_s", [0.0, 1_000.0], ids=["in its turn", "at the end"])
def test_a_record_that_is_given_up_is_forgotten_when_its_commit_is_confirmed(
    tmp_path: Path, interval_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.stream.offsets.COMMIT_INTERVAL_S", interval_s)
    journal = given_up(tmp_path / "journal", 6)
    bench = Bench(journal=journal)
    looked_at(bench, journal)
    commit = bench.consumer.commit
    confirmed: list[bool] = []

    def refused_once(*, asynchronous: bool) -> None:
        if not asynchronous:
            confirmed.append(journal.suspicious)
            if len(confirmed) == 1:
                raise failed(KafkaError.REBALANCE_IN_PROGRESS)
        commit(asynchronous=asynchronous)

    bench.consumer.commit = refused_once  # type: ignore[method-assign] # to play it
    bench.feed(6)
    left: list[bool] = []
    bench.run(8, then=lambda: left.append(journal.suspicious))
    assert bench.submitted() == [6]
    assert confirmed[:2] == [True, True], "nobody asked whether it was committed, or it was forgotten before"
    assert left == [interval_s > 0]
    assert not journal.suspicious


def test_a_record_that_is_given_up_stays_so_when_its_partition_goes_before_the_commit(tmp_path: Path) -> None:
    journal = given_up(tmp_path / "journal", 6)
    bench = Bench(journal=journal)
    looked_at(bench, journal)
    bench.feed(6)
    bench.consumer.to_read += [nothing_more, lambda: bench.callback("on_lost", BOTH)]
    bench.run(8)
    assert bench.submitted() == [6]
    assert suspected(journal, range(10)) == {6: LIVES}


def test_an_end_that_could_be_announced_acquits_but_for_work_that_never_ends_or_breaks_the_device(
    tmp_path: Path,
) -> None:
    innocent = None, RuntimeError("broken"), ModelError("damaged")
    for error in (*innocent, StuckError("no end"), DeviceError("lost")):
        path = tmp_path / type(error).__name__
        try:
            with open_journal(path) as journal:
                journal.begin(batch(1))
                if error is not None:
                    raise error
        except (RuntimeError, ModelError, StuckError):
            pass
        assert open_journal(path).suspicious is (error not in innocent)


def test_who_was_suspected_stays_so_until_met(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    journal.begin(batch(1, 2))
    die(journal)
    with open_journal(tmp_path / "journal") as journal:
        journal.begin(batch(8, partition=3))
    assert suspected(open_journal(tmp_path / "journal"), range(10)) == {1: 1, 2: 1}


def test_two_workers_with_one_name_have_two_files(tmp_path: Path) -> None:
    one, other = open_journal(tmp_path / "journal"), open_journal(tmp_path / "journal")
    one.begin(batch(1))
    other.begin(batch(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal", "journal.1"]
    die(other)
    assert suspected(open_journal(tmp_path / "journal"), range(10)) == {2: 1}


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\xff" * 300, b"0 0 0\n", b"00000000 00000004\nlie \n", b"zz 1\n"],
)
def test_foreign_content_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal").write_bytes(content)
    assert not open_journal(tmp_path / "journal").suspicious


def test_lines_that_cannot_be_read_are_nothing_although_their_checksum_fits(tmp_path: Path) -> None:
    body = b"at-work t 0 1 2\n"
    (tmp_path / "journal").write_bytes(b"%08x %08x\n" % (zlib.crc32(body), len(body)) + body)
    assert not open_journal(tmp_path / "journal").suspicious


def test_a_shorter_note_is_not_followed_by_the_rest_of_a_longer_one(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "journal")
    both = [batch(1), batch(2)]
    for one in both:
        journal.begin(one)
    journal.end(both[0])
    die(journal)
    assert suspected(open_journal(tmp_path / "journal"), range(10)) == {2: 1}


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="crash journal") as error:
        open_journal(tmp_path / "file" / "journal")
    assert "TAGLINE_LIMITS_CRASH_JOURNAL" in str(error.value.hint)


def test_a_disk_that_fills_up_costs_the_journal_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    journal = open_journal(tmp_path / "journal")
    monkeypatch.setattr(os, "pwrite", full)
    at_work = batch(1)
    journal.begin(at_work)
    journal.end(at_work)
    monkeypatch.undo()
    assert not open_journal(tmp_path / "journal").suspicious


def test_without_a_path_nothing_is_noted() -> None:
    with open_journal(None) as journal:
        journal.begin(batch(1))
        assert not journal.suspicious
