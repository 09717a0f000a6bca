"""What stands before each side's calls to Redis: its breaker, its metrics, and one log line when its state changes."""

import time
from collections.abc import Callable
from typing import Literal

import structlog

from worker.cache.breaker import Breaker, State
from worker.telemetry import metrics

log = structlog.get_logger(__name__)

Side = Literal["read", "write"]
Fault = Literal["timeout", "refused", "error"]
"""Why a call did not work. `refused`: credentials, permission or a certificate, which waiting does not mend."""


class Guard:
    """Reads and writes have one each: a Redis that is full or read-only still answers reads. Belongs to one thread."""

    def __init__(
        self, side: Side, *, failures: int, open_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._side = side
        self._breaker = Breaker(failures, open_s, clock)
        self._told: set[tuple[Fault, str]] = set()
        """The reasons logged since a call last worked."""
        metrics.BREAKER_STATE.labels(side).set(State.CLOSED)

    @property
    def state(self) -> State:
        """The breaker's."""
        return self._breaker.state

    def allows(self) -> bool:
        """Whether Redis may be called now; a call that may not counts as bypassed."""
        allowed = self._breaker.allows()
        self._show()
        if not allowed:
            metrics.REDIS_CALLS.labels(self._side, "bypassed").inc()
        return allowed

    def succeeded(self) -> None:
        """A call worked."""
        self._breaker.succeeded()
        self._show()
        metrics.REDIS_CALLS.labels(self._side, "ok").inc()
        if self._told:
            log.info("redis works again", side=self._side)
            self._told.clear()

    def failed(self, fault: Fault, detail: str) -> None:
        """A call did not work. Logged when it is news: each reason once, until a call works."""
        self._breaker.failed()
        self._show()
        metrics.REDIS_CALLS.labels(self._side, fault).inc()
        if (fault, detail) in self._told:
            return
        self._told.add((fault, detail))
        if fault == "refused":
            log.error(
                "redis refuses us, tagging goes on without it", side=self._side, detail=detail,
                hint="check the user, password and permissions in TAGLINE_REDIS_URL; with TLS its host and ssl_ca_certs too",
            )  # fmt: skip
        else:
            log.warning(
                "redis fails, tagging goes on without it", side=self._side, fault=fault, detail=detail
            )

    def _show(self) -> None:
        metrics.BREAKER_STATE.labels(self._side).set(self._breaker.state)
