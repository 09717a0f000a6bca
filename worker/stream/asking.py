"""Asking a cluster until it answers: what it cannot say at the moment it says a little later."""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from worker.errors import DependencyError
from worker.stream.errors import kafka_error
from worker.telemetry.waited import Waited

Answer = TypeVar("Answer")

AGAIN_S = 0.1


def until_answered(
    ask: Callable[[], Answer],
    doing: str,
    *,
    worth_asking_again: Callable[[KafkaError], bool],
    call_s: float,
    limit_s: float,
    hint: str,
    stop: Callable[[], bool] = lambda: False,
    on_turn: Callable[[], None] = lambda: None,
) -> Answer | None:
    """What `ask`, a call or two of a client, returns, once it does; None when told to stop first. Blocks for at most
    `limit_s` and one such call; time in which the process did not run does not count.

    Args:
        ask: raises KafkaException while there is no answer.
        doing: what the errors say was going on.
        worth_asking_again: which of its errors will pass.
        call_s: the longest that one call takes.
        limit_s: how long they are given.
        hint: where to look when they did not.
        stop: ends it early, between two calls.
        on_turn: called between two calls.

    Raises:
        TaglineError: an error that is not worth it, or a DependencyError because there was no answer in time.
    """
    waited = Waited(call_s)
    while True:
        try:
            return ask()
        except KafkaException as error:
            problem = error
        cause = problem.args[0]
        if not worth_asking_again(cause):
            raise kafka_error(cause, doing) from problem
        if stop():
            return None
        if waited.look() > limit_s:
            raise DependencyError(
                f"{doing}: no answer within {limit_s:.0f} s: {cause.str()}", hint=hint
            ) from problem
        on_turn()
        time.sleep(AGAIN_S)
