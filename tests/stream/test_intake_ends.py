"""Ends of partitions: they travel behind what was read before them, and nothing but the line commits them."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.stream.fakes import TOPIC, FakeMessage, failed
from tests.stream.intake_bench import BOTH, Bench, nothing_more
from worker.errors import DependencyError
from worker.stream.stages import Finished


def end(offset: int, partition: int = 0) -> FakeMessage:
    return FakeMessage(offset, KafkaError._PARTITION_EOF, partition)


def committed(bench: Bench) -> list[dict[tuple[str, int], int]]:
    """The offsets that the line is asked to commit, in its order."""
    return [batch.offsets() for batch in bench.stages.submitted]


@pytest.mark.parametrize("transactional", [False, True])
def test_an_end_goes_down_the_line_between_what_was_read_before_and_after_it(*, transactional: bool) -> None:
    bench = Bench(transactional=transactional)
    bench.feed(1, 2)
    bench.consumer.to_read += [nothing_more, end(4), nothing_more]
    bench.feed(4, 5)
    bench.run(12)
    assert committed(bench) == [{(TOPIC, 0): 3}, {(TOPIC, 0): 4}, {(TOPIC, 0): 6}]
    # A commit of the consumer's own is sent later than the transactions that follow, and would take the group back.
    assert bench.consumer.stored == ({} if transactional else {(TOPIC, 0): 6})


def test_an_end_goes_with_the_window_that_holds_the_last_record_before_it() -> None:
    bench = Bench()
    bench.feed(1, 2)
    bench.consumer.to_read.append(end(4))
    bench.run(6)
    assert committed(bench) == [{(TOPIC, 0): 4}]


def test_an_end_waits_for_records_that_are_held_back() -> None:
    bench = Bench()
    bench.stages.has_room = False

    def room() -> None:
        assert bench.stages.submitted == []
        bench.stages.has_room = True

    bench.feed(1, 2)
    bench.consumer.to_read += [end(4), nothing_more, nothing_more, room]
    bench.run(10)
    assert committed(bench) == [{(TOPIC, 0): 4}]


def test_an_end_behind_records_that_a_stop_leaves_unread_is_left_too() -> None:
    bench = Bench()
    bench.stages.has_room = False
    bench.feed(1, 2)
    bench.consumer.to_read += [end(4), nothing_more]

    def stopping() -> None:
        bench.consumer.refusals.append(failed(KafkaError.REBALANCE_IN_PROGRESS))  # so the drain polls
        bench.consumer.to_read.append(revoke)

    def revoke() -> None:
        bench.stages.has_room = True
        bench.callback("on_revoke", BOTH)

    bench.run(6, then=stopping)
    assert not bench.consumer.to_read, "nothing was revoked"
    assert committed(bench) == []


@pytest.mark.parametrize("how", ["stop", "revoke"])
def test_an_end_that_is_known_is_committed_before_its_partition_goes(how: str) -> None:
    bench = Bench()
    bench.feed(1)
    bench.consumer.to_read += [nothing_more, lambda: setattr(bench.stages, "has_room", False), end(3)]

    def go() -> None:
        bench.stages.has_room = True
        if how == "revoke":
            bench.callback("on_revoke", BOTH)

    bench.run(8, then=go)
    assert bench.consumer.committed_offsets == {(TOPIC, 0): 3}


def test_an_end_of_a_partition_without_a_record_is_told_again_after_a_roll_back() -> None:
    bench = Bench()
    bench.stages.at_once = False
    bench.consumer.committed_offsets = {(TOPIC, 0): 2}
    bench.consumer.to_read += [end(3), nothing_more]

    def roll_back() -> None:
        assert committed(bench) == [{(TOPIC, 0): 3}]
        bench.stages.rewinds = 1
        bench.stages.done.extend(Finished(b, published=False) for b in bench.stages.submitted)

    bench.consumer.to_read.append(roll_back)
    bench.run(8)
    assert bench.consumer.seeks == [(0, 2)]


def test_an_end_that_came_with_a_rebalance_is_asked_for_again() -> None:
    """It may be an older assignment's, and the client tells each end once."""
    bench = Bench()
    bench.feed(1)
    bench.consumer.to_read.append(nothing_more)
    consume = bench.consumer.consume

    def with_rebalance(count: int, timeout_s: float) -> list[FakeMessage]:
        bench.callback("on_assign", [])
        return consume(count, timeout_s)

    def rebalance() -> None:
        bench.consumer.consume = with_rebalance  # type: ignore[method-assign] # to play it

    bench.consumer.to_read += [rebalance, end(3), nothing_more]
    bench.run(10)
    assert bench.consumer.seeks == [(0, 2)]


@pytest.mark.parametrize("transactional", [False, True])
def test_where_the_latest_begins_is_committed_before_anything_is_read(*, transactional: bool) -> None:
    """Else it would be looked up again at the next assignment, and what came in between skipped."""
    bench = Bench(start_from="latest", transactional=transactional)
    bench.consumer.high_watermarks = {(TOPIC, 0): 7, (TOPIC, 1): 0}
    bench.run(3)
    assert bench.consumer.committed_offsets == {(TOPIC, 0): 7, (TOPIC, 1): 0}
    assert bench.consumer.calls.index("commit of 2") < bench.consumer.calls.index("assign 2")
    assert bench.consumer.stored == {}, "it would be committed again, behind the transactions that follow"
    assert committed(bench) == []


def test_after_a_roll_back_the_latest_is_read_again_from_where_it_began() -> None:
    bench = Bench(start_from="latest", transactional=True)
    bench.stages.at_once = False
    bench.consumer.high_watermarks = {(TOPIC, 0): 7, (TOPIC, 1): 0}
    bench.feed(8, 9)  # a marker lies at 7

    def roll_back() -> None:
        bench.stages.rewinds += 1
        bench.stages.done.extend(Finished(batch, published=False) for batch in bench.stages.submitted)

    bench.consumer.to_read += [nothing_more, roll_back]
    bench.run(8)
    assert bench.consumer.seeks == [(0, 7), (1, 0)]
    assert bench.consumer.calls.count("commit of 2") == 1


def test_an_error_of_the_client_between_two_reads_is_no_bug_of_ours() -> None:
    bench = Bench()

    def broken() -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "injected"))

    bench.stages.check = broken  # type: ignore[method-assign] # to play it
    with pytest.raises(DependencyError, match="reading from Kafka"):
        bench.run(3)
