"""Asking until there is an answer: what is worth it, for how long, and what ends it before."""

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from tests.stream.fakes import failed
from worker.errors import DataError, DependencyError
from worker.stream.asking import until_answered
from worker.stream.errors import leader_moves
from worker.telemetry import waited


class Cluster:
    """Answers when it has refused often enough."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    def __call__(self) -> str:
        if self.codes:
            raise failed(self.codes.pop(0))
        return "answer"


MOVING = KafkaError.NOT_LEADER_FOR_PARTITION


def test_what_passes_is_waited_for_and_every_turn_is_heard() -> None:
    turns: list[int] = []
    answer = until_answered(
        Cluster(MOVING, MOVING),
        "asking",
        worth_asking_again=leader_moves,
        call_s=5,
        limit_s=30,
        hint="",
        on_turn=lambda: turns.append(1),
    )
    assert (answer, len(turns)) == ("answer", 2)


def test_what_does_not_pass_is_raised_at_once() -> None:
    cluster = Cluster(KafkaError.UNKNOWN_TOPIC_OR_PART, MOVING)
    with pytest.raises(DataError, match="asking"):
        until_answered(cluster, "asking", worth_asking_again=leader_moves, call_s=5, limit_s=30, hint="")
    assert cluster.codes == [MOVING]


def test_a_limit_ends_it_with_the_last_refusal_and_the_hint() -> None:
    with pytest.raises(DependencyError, match="asking: no answer within -1 s: injected") as raised:
        until_answered(
            Cluster(MOVING),
            "asking",
            worth_asking_again=leader_moves,
            call_s=5,
            limit_s=-1,
            hint="look there",
        )
    assert raised.value.hint == "look there"


def test_a_stop_ends_it_without_an_answer() -> None:
    cluster = Cluster(MOVING, MOVING)
    answer = until_answered(
        cluster, "asking", worth_asking_again=leader_moves, call_s=5, limit_s=30, hint="", stop=lambda: True
    )
    assert (answer, len(cluster.codes)) == (None, 1)


def test_a_long_call_counts_whole_and_a_process_that_was_stopped_meanwhile_no_more_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(waited, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for taken_s, left in ((10.0, 4), (1_000.0, 4)):
        cluster = Cluster(*[MOVING] * 6)

        def slow(cluster: Cluster = cluster, taken_s: float = taken_s) -> str:
            now[0] += taken_s
            return cluster()

        with pytest.raises(DependencyError):
            until_answered(slow, "asking", worth_asking_again=leader_moves, call_s=15, limit_s=15, hint="")
        assert len(cluster.codes) == left
