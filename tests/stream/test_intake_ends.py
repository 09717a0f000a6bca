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


def test_where_the_latest_begins_is_committed() -> None:
    """Else it would be looked up again at the next assignment, and what came in between skipped."""
    bench = Bench(start_from="latest")
    bench.consumer.high_watermarks = {(TOPIC, 0): 7, (TOPIC, 1): 0}
    poll = bench.consumer.poll

    def assigned_and_read(timeout_s: float) -> FakeMessage | None:
        """In one call; were the process to die of the record, the next one would begin behind it."""
        bench.consumer.poll = poll  # type: ignore[method-assign] # to play it
        poll(timeout_s)
        return FakeMessage(7)

    bench.consumer.poll = assigned_and_read  # type: ignore[method-assign] # to play it
    bench.run(5)
    assert committed(bench) == [{(TOPIC, 0): 7, (TOPIC, 1): 0}, {(TOPIC, 0): 8}]
    assert bench.consumer.committed_offsets == {(TOPIC, 0): 8, (TOPIC, 1): 0}


def roll_back(bench: Bench) -> None:
    bench.stages.rewinds += 1
    bench.stages.done.extend(Finished(batch, published=False) for batch in bench.intake._in_flight)


def publish(bench: Bench) -> None:
    bench.stages.done.extend(Finished(batch, published=True) for batch in bench.intake._in_flight)


@pytest.mark.parametrize("assigned", ["before the roll-back", "between it and the rewind"])
@pytest.mark.parametrize("read", [False, True])
def test_where_the_latest_begins_is_committed_again_after_a_roll_back(assigned: str, *, read: bool) -> None:
    """Else nobody would know of it: the next owner looks the end up anew, and skips what came in between."""
    bench = Bench(start_from="latest", transactional=True)
    bench.stages.at_once = False
    bench.consumer.high_watermarks = {(TOPIC, 0): 7, (TOPIC, 1): 0}
    assign = bench.consumer.to_read.popleft()
    if assigned == "before the roll-back":
        bench.consumer.to_read += [assign, lambda: roll_back(bench)]
    else:
        # The line has rolled back, and drops what was read, and began, under the count of before.
        bench.consumer.to_read += [lambda: (roll_back(bench), assign())[0], lambda: roll_back_stale(bench)]
    if read:
        bench.feed(7, 8)
    bench.run(8, then=lambda: publish(bench))
    assert (0, 7) in bench.consumer.seeks
    after = [batch for batch in bench.stages.submitted if batch.rewind == 1]
    assert after[0].records == []
    assert after[0].offsets() == {(TOPIC, 0): 7, (TOPIC, 1): 0}


def roll_back_stale(bench: Bench) -> None:
    bench.stages.done.extend(
        Finished(batch, published=False)
        for batch in bench.intake._in_flight
        if batch.rewind < bench.stages.rewinds
    )


@pytest.mark.parametrize("how", ["stop", "revoke"])
def test_where_the_latest_begins_waits_for_room_until_its_partition_goes(how: str) -> None:
    """Its first records lie in the buffer, and are dropped with the partition: without the place the next owner skips them."""
    bench = Bench(start_from="latest")
    bench.stages.has_room = False
    bench.consumer.high_watermarks = {(TOPIC, 0): 7, (TOPIC, 1): 0}
    bench.feed(7, 8)
    finished = bench.stages.finished

    def room(timeout_s: float) -> list[Finished]:
        """The line takes something after a moment."""
        bench.stages.has_room = True
        return finished(timeout_s)

    def go() -> None:
        assert bench.submitted() == []
        bench.stages.finished = room  # type: ignore[method-assign] # to play it
        if how == "revoke":
            bench.callback("on_revoke", BOTH)

    bench.run(6, then=go)
    assert committed(bench) == [{(TOPIC, 0): 7, (TOPIC, 1): 0}]
    assert bench.consumer.committed_offsets == {(TOPIC, 0): 7, (TOPIC, 1): 0}


def test_where_the_latest_begins_goes_alone_and_before_what_was_read_behind_it() -> None:
    """Beside records of its partition it would take their offset back."""
    bench = Bench(start_from="latest")
    bench.stages.has_room = False
    bench.consumer.high_watermarks = {(TOPIC, 0): 7, (TOPIC, 1): 0}
    bench.feed(7, 8)
    bench.consumer.to_read += [nothing_more, lambda: setattr(bench.stages, "has_room", True)]
    bench.run(8)
    assert committed(bench) == [{(TOPIC, 0): 7, (TOPIC, 1): 0}, {(TOPIC, 0): 9}]


def test_where_the_latest_began_is_not_committed_again_when_the_partition_was_lost() -> None:
    bench = Bench(start_from="latest")
    bench.stages.has_room = False
    bench.consumer.high_watermarks = {(TOPIC, 0): 7, (TOPIC, 1): 0}
    bench.consumer.to_read.append(lambda: bench.callback("on_lost", BOTH))
    bench.run(6, then=lambda: setattr(bench.stages, "has_room", True))
    assert committed(bench) == []


def test_an_error_of_the_client_between_two_reads_is_no_bug_of_ours() -> None:
    bench = Bench()

    def broken() -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "injected"))

    bench.stages.check = broken  # type: ignore[method-assign] # to play it
    with pytest.raises(DependencyError, match="reading from Kafka"):
        bench.run(3)
