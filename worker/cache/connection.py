"""One connection to Redis whose every wait is bounded and which anybody may cut.

redis-py's defaults hold a caller for 58 s when the server hangs: retries with backoff, a handshake of extra commands, and
time-outs that count each read anew. So its connections are used directly, without its client, with RESP 2, no retry and no
handshake but authentication and the database; and the socket is kept at hand, because only a shutdown from outside ends a
read from a server that sends one byte now and then.
"""

import contextlib
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from redis.backoff import NoBackoff
from redis.connection import Connection, UnixDomainSocketConnection, parse_url
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from worker.cache.guard import Fault
from worker.errors import UsageError

_FROM_URL = frozenset(
    {
        "host", "port", "path", "db", "username", "password", "client_name",
        "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs",
    }
)  # fmt: skip
"""What a URL may say. Time-outs, retries and protocol are ours."""

CUT_AFTER_S = 2.0
"""Age at which a call that still goes on (a server that sends a byte now and then) is cut off, by the next one who wants one."""

Command = tuple[bytes | int, ...]

_parse: Callable[[str], dict[str, Any]] = parse_url


class UnexpectedAnswerError(RedisError):
    """The server answered, but not what was asked. The connection cannot be trusted any more."""


class _Cuttable:
    """Mixed into redis-py's connection classes: remembers the socket, so that another thread can shut it down."""

    _cut_socket: socket.socket | None = None

    def _connect(self) -> socket.socket:
        self._cut_socket = cast("socket.socket", super()._connect())  # type: ignore[misc] # of the class mixed into
        return self._cut_socket

    def has_unread(self) -> bool:
        """Whether there is something to read, if only the end: a server that went away, or an answer nobody asked for."""
        if self._cut_socket is None or self._cut_socket.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self._cut_socket, select.POLLIN)
        return bool(poll.poll(0))

    def cut(self) -> None:
        """End whatever the owner is waiting for, at once. Any thread; never raises."""
        if self._cut_socket is not None:
            with contextlib.suppress(OSError):
                self._cut_socket.shutdown(socket.SHUT_RDWR)


class RedisConnection:
    """Sends commands and reads their answers. Belongs to one thread, but for ``cut``.

    Connects when it is first needed, and anew after any error or when something unread waits, so that a server that was
    restarted costs no answers, and a late answer is never taken for the next one.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        """Does not connect. `timeout_s` bounds connecting and each single wait for bytes.

        Raises:
            UsageError: the URL is wrong, or says what is not its to say.
        """
        try:
            given = _parse(url)
            made_from: type = given.pop("connection_class", Connection)
            foreign = sorted(given.keys() - _FROM_URL)
            if foreign:
                raise UsageError(f"TAGLINE_REDIS_URL: {', '.join(foreign)} cannot be set there")
            if made_from is not UnixDomainSocketConnection:
                given["socket_keepalive"] = True
            cuttable = type("CuttableConnection", (_Cuttable, made_from), {})
            self._connection = cuttable(
                **given,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                driver_info=None,
                health_check_interval=0,
            )
        except (ValueError, TypeError, RedisError) as error:
            # The message of a ValueError may hold a part of the URL, and so of a password.
            said = str(error) if str(error).startswith("Redis URL must") else type(error).__name__
            raise UsageError(
                f"TAGLINE_REDIS_URL cannot be used: {said}",
                hint="for example redis://user:password@host:6379/0",
            ) from None

    def call(self, commands: list[Command]) -> list[object]:
        """Send `commands` in one go and return an answer for each; an error reply is its answer.

        Raises:
            RedisError, OSError, ValueError: the connection failed, was refused, or speaks something else. It is closed,
                and the next call opens another one.
        """
        try:
            if self._connection.has_unread():
                self.close()
            self._connection.connect()
            self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)
            return [self._answer() for _ in commands]
        except BaseException:
            self.close()
            raise

    def cut(self) -> None:
        """End the call that another thread is in. Any thread; never raises."""
        self._connection.cut()

    def close(self) -> None:
        """Close it; the next call opens another one. Never raises."""
        with contextlib.suppress(Exception):
            self._connection.disconnect()

    def _answer(self) -> object:
        try:
            return self._connection.read_response(disable_decoding=True)
        except AuthenticationError:
            raise
        except ResponseError as error:
            return error


def fault_of(error: BaseException) -> tuple[Fault, str]:
    """How the metrics call an error, and what a log may say of it: never a value or a credential."""
    if isinstance(error, AuthenticationError | NoPermissionError):
        return "refused", type(error).__name__
    if distrust := distrust_of(error):
        return "refused", distrust
    if isinstance(error, TimeoutError | RedisTimeoutError):
        return "timeout", "no answer in time"
    if isinstance(error, ResponseError):  # "OOM command not allowed...", "READONLY You can't write..."
        return "error", str(error).split(" ", 1)[0][:32] or "error"
    return "error", type(error).__name__


def distrust_of(error: BaseException) -> str | None:
    """Why the server's certificate was not accepted; None when that is not what went wrong. It may name the host, no more."""
    met = error.__context__  # redis-py tells of it as of any broken connection
    if not isinstance(met, ssl.SSLCertVerificationError):
        return None
    return f"its certificate is not accepted: {met.verify_message}"
