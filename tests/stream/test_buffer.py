"""The read buffer and the rule by which a window closes."""

from worker.stream.buffer import ReadBuffer, WindowLimits
from worker.stream.record import Record


def record(offset: int, size: int = 10, partition: int = 0) -> Record:
    return Record("t", partition, offset, 0, None, b"x" * size, [])


def buffer(max_records: int = 3, max_bytes: int = 100, max_wait_s: float = 1.0) -> ReadBuffer:
    return ReadBuffer(WindowLimits(max_records, max_bytes, max_wait_s))


def test_records_that_bear_less_company_share_windows_with_their_like_only() -> None:
    company = {1: 1, 2: 1, 3: 2, 4: 2, 5: 2, 6: 9, 7: 9, 8: 9, 9: 9}
    read = buffer()
    for offset in range(12):
        read.add(record(offset), now=0.0)
    cuts = []
    while read:
        records, _ = read.cut(lambda record: company.get(record.offset, 0))
        cuts.append([one.offset for one in records])
    assert cuts == [[0], [1], [2], [3, 4], [5], [6, 7, 8], [9], [10, 11]]
    assert read.size == 0


def test_nothing_is_ready_when_nothing_was_read() -> None:
    assert not buffer().ready(now=100.0, idle=True)


def test_one_record_is_enough_when_nobody_is_busy() -> None:
    read = buffer()
    read.add(record(0), now=0.0)
    assert read.ready(now=0.0, idle=True)
    assert not read.ready(now=0.0, idle=False)


def test_a_window_closes_when_its_oldest_record_has_waited_long_enough() -> None:
    read = buffer(max_wait_s=0.5)
    read.add(record(0), now=10.0)
    read.add(record(1), now=10.4)
    assert not read.ready(now=10.49, idle=False)
    assert read.ready(now=10.5, idle=False)


def test_a_window_closes_when_it_is_full_by_count_or_by_bytes() -> None:
    by_count = buffer(max_records=2)
    by_count.add(record(0), now=0.0)
    assert not by_count.ready(now=0.0, idle=False)
    by_count.add(record(1), now=0.0)
    assert by_count.ready(now=0.0, idle=False)

    by_bytes = buffer(max_bytes=15)
    by_bytes.add(record(0, size=15), now=0.0)
    assert by_bytes.ready(now=0.0, idle=False)


def test_cutting_keeps_order_and_respects_both_bounds() -> None:
    read = buffer(max_records=3, max_bytes=25)
    for offset in range(4):
        read.add(record(offset), now=float(offset))
    assert [r.offset for r in read.cut()[0]] == [0, 1]  # a third would make 30 bytes
    assert (len(read), read.size) == (2, 20)
    assert [r.offset for r in read.cut()[0]] == [2, 3]
    assert (len(read), read.size) == (0, 0)


def test_a_record_larger_than_a_window_travels_alone() -> None:
    read = buffer(max_bytes=20)
    read.add(record(0, size=500), now=0.0)
    read.add(record(1), now=0.0)
    assert [r.offset for r in read.cut()[0]] == [0]


def test_dropping_forgets_only_the_partitions_named() -> None:
    read = buffer()
    read.add(record(0, partition=0), now=0.0)
    read.add(record(7, partition=1, size=30), now=0.0)
    assert read.drop(frozenset({("t", 0)})) == 1
    assert (len(read), read.size) == (1, 30)
    assert [r.partition for r in read.cut()[0]] == [1]
    read.add(record(8), now=0.0)
    assert read.drop() == 1
    assert len(read) == 0
