"""Clients that say why the cluster did not answer.

That a password or a certificate was refused, librdkafka tells its error callback only; the call that waited for an answer
ends with "transport failure" or "timed out", as if no broker were there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from worker.stream.errors import is_refusal

_SERVE_S = 0.1
"""Time to hear what the client has to say of a call that failed."""


class Cause:
    """What a client last said was wrong. A refusal stays: the broker that refused explains more than one that is away.

    An instance is the client's `error_cb`, called inside its polls.
    """

    def __init__(self) -> None:
        self._error: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 # the client's public name for it
            return  # follows from the others
        if self._error is None or is_refusal(error) or not is_refusal(self._error):
            self._error = error

    @contextmanager
    def told(self, poll: Callable[[float], object]) -> Iterator[None]:
        """Let a call fail with the cause instead of its own error, but for one that may be made again.

        ``poll`` is the client's; it is called once, for a moment, and only when the call fails.
        """
        try:
            yield
        except KafkaException as error:
            poll(_SERVE_S)
            if self._error is None or (error.args[0].retriable() and not is_refusal(self._error)):
                raise
            raise KafkaException(self._error) from error
        self._error = None  # whatever was wrong before is over


class CandidConsumer(Consumer):
    """A consumer whose ``list_topics`` says why it failed. Ask before reading: the failure may cost a message."""

    def __init__(self, config: dict[str, Any], **options: Any) -> None:
        self._cause = Cause()
        super().__init__(config | {"error_cb": self._cause}, **options)

    def list_topics(self, *args: Any, **options: Any) -> Any:
        """As the client's own."""
        with self._cause.told(self.poll):
            return super().list_topics(*args, **options)


class CandidProducer(Producer):
    """A producer whose ``init_transactions``, the first call that waits for a broker, says why it failed."""

    def __init__(self, config: dict[str, Any], **options: Any) -> None:
        self._cause = Cause()
        super().__init__(config | {"error_cb": self._cause}, **options)

    def init_transactions(self, *args: Any, **options: Any) -> None:
        """As the client's own."""
        with self._cause.told(self.poll):
            super().init_transactions(*args, **options)


class CandidAdmin(AdminClient):
    """An admin client whose ``list_topics`` says why it failed."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._cause = Cause()
        super().__init__(config | {"error_cb": self._cause})

    def list_topics(self, *args: Any, **options: Any) -> Any:
        """As the client's own."""
        with self._cause.told(self.poll):
            return super().list_topics(*args, **options)
