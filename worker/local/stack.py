"""The local stack as a whole: what is ours and what is the user's, and up, status, down.

Each part (Kafka, the cache) is the user's own when its environment variable is set: it is then used and never touched. The
rest is started here, remembered in the folder's state, and ended by ``down``.
"""

import base64
import os
import shutil
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from worker.errors import DependencyError, UsageError
from worker.local import broker, cache_server, jars, java, ports, process
from worker.local.broker import Broker
from worker.local.cache_server import CacheServer
from worker.local.process import Started
from worker.local.state import State, StateFile, default_folder

KAFKA_VARIABLE = "TAGLINE_KAFKA_BOOTSTRAP_SERVERS"
CACHE_VARIABLE = "TAGLINE_REDIS_URL"
KAFKA_PORT, CACHE_PORT = 9092, 6379
"""What the clients take for an address without a port."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class StackAddresses:
    """What a worker needs to reach the stack."""

    bootstrap_servers: str
    redis_url: str

    def environment(self) -> dict[str, str]:
        """The variables that point a worker here."""
        return {KAFKA_VARIABLE: self.bootstrap_servers, CACHE_VARIABLE: self.redis_url}


@dataclass(frozen=True)
class PartStatus:
    """One part of the stack as it is now."""

    name: str
    owner: str
    """``ours`` or ``yours``."""
    running: bool
    """Whether it answers."""
    address: str
    """Empty when it was never started."""
    pid: int | None


class Stack:
    """The stack of one folder. Any number of these objects and processes may act on it: changes take turns by a lock.

    One thread at a time may use an object. Nothing here runs in the background of this process.
    """

    def __init__(self, folder: Path | None = None, environment: Mapping[str, str] = os.environ) -> None:
        self.folder = default_folder(environment) if folder is None else folder.absolute()
        self._environment = environment
        self._state = StateFile(self.folder)

    def up(self, progress: Progress) -> StackAddresses:
        """Start what is ours and does not run yet, and wait until it answers; a second call changes nothing.

        Blocks: 4 s, plus the fetch of Kafka at the very first time. Raises DependencyError when something is missing or
        fails to start; what did start keeps running then, for another try or ``down``.
        """
        with self._state.locked(lambda: progress("waiting for another command on this stack")):
            return StackAddresses(self._up_kafka(progress), self._up_cache(progress))

    def status(self) -> tuple[PartStatus, PartStatus]:
        """Kafka and the cache as they are now. Blocks for a second or two when one hangs."""
        state = self._state.read()
        kafka_url, cache_url = self._users_kafka(state), self._users_cache(state)
        if kafka_url:
            kafka = PartStatus("kafka", "yours", _reachable(kafka_url, KAFKA_PORT), kafka_url, None)
        else:
            kafka = PartStatus(
                "kafka", "ours", self._kafka_answers(state), _broker_address(state), _pid(state.broker)
            )
        if cache_url:
            cache = PartStatus(
                "cache", "yours", _reachable(cache_url, CACHE_PORT), _without_password(cache_url), None
            )
        else:
            cache = PartStatus(
                "cache", "ours", self._cache_answers(state), _cache_url(state), _pid(state.cache)
            )
        return kafka, cache

    def addresses(self) -> StackAddresses:
        """Where the stack is. Raises DependencyError when a part of ours does not run."""
        state = self._state.read()
        kafka, cache = self._users_kafka(state), self._users_cache(state)
        down = [
            name
            for name, runs in (
                ("Kafka", kafka or self._kafka_answers(state)),
                ("the cache", cache or self._cache_answers(state)),
            )
            if not runs
        ]
        if down:
            raise self._not_up(" and ".join(down))
        return StackAddresses(kafka or _broker_address(state), cache or _cache_url(state))

    def bootstrap_servers(self) -> str:
        """Where Kafka is, whatever the cache does. Raises DependencyError when it is ours and does not run."""
        state = self._state.read()
        kafka = self._users_kafka(state)
        if not (kafka or self._kafka_answers(state)):
            raise self._not_up("Kafka")
        return kafka or _broker_address(state)

    def down(self, progress: Progress, *, wipe: bool = False) -> None:
        """End what ``up`` started here, and with ``wipe`` delete its data too. Blocks until all of it is gone."""
        with self._state.locked(lambda: progress("waiting for another command on this stack")):
            state = self._state.read()
            ended = False
            if state.broker is not None and process.is_alive(state.broker):
                progress("stopping Kafka")
                broker.stop(state.broker)
                ended = True
            if state.cache is not None and process.is_alive(state.cache):
                progress("stopping the cache")
                cache_server.stop(state.cache)
                ended = True
            if not ended:
                progress("nothing of ours was running")
            if wipe:  # before the state is written: on a full disk that needs the space
                shutil.rmtree(self._kafka_folder, ignore_errors=True)
                shutil.rmtree(self._cache_folder, ignore_errors=True)
            self._state.update(broker=None, cache=None, cluster_id="" if wipe else state.cluster_id)
            if wipe:
                progress(f"deleted what Kafka and the cache kept in {self.folder}")

    # Kafka

    @property
    def _kafka_folder(self) -> Path:
        return self.folder / "kafka"

    def _users_kafka(self, state: State) -> str | None:
        """The user's own brokers; None when ours are to be used, which is also so when the variable names ours."""
        named = self._environment.get(KAFKA_VARIABLE)
        return named if named and named != _broker_address(state) else None

    def _kafka_answers(self, state: State) -> bool:
        return (
            state.broker is not None
            and process.is_alive(state.broker)
            and broker.answers(_broker_address(state), state.cluster_id)
        )

    def _up_kafka(self, progress: Progress) -> str:
        state = self._state.read()
        named = self._users_kafka(state)
        if named:
            progress(f"Kafka: using yours at {named} ({KAFKA_VARIABLE} is set), starting none")
            _require(named, KAFKA_VARIABLE, KAFKA_PORT)
            return named
        if state.broker is not None and process.is_alive(state.broker):
            _broker_of(self._kafka_folder, state).wait_until_answering(state.broker, progress)
            progress(f"Kafka: already running at {_broker_address(state)}")
            return _broker_address(state)

        broker.require_one_folder(self._kafka_folder)
        program = java.find(self._environment)
        class_path = kafka_class_path(self._environment, progress)
        state = self._with_free_ports(state, progress)
        progress("starting Kafka")
        server = _broker_of(self._kafka_folder, state)
        started = server.start(program, class_path, self._environment)
        self._remember(started, broker=started)
        server.wait_until_answering(started, progress)
        progress(f"Kafka: running at {server.address}")
        self._tell_of_a_move(KAFKA_VARIABLE, server.address, progress)
        return server.address

    def _with_free_ports(self, state: State, progress: Progress) -> State:
        """The remembered ports, or others where something else has taken one of them meanwhile."""
        broker_port = _free_or_other(state.broker_port, "Kafka", progress)
        controller_port = _free_or_other(
            state.controller_port, "Kafka's controller", progress, frozenset({broker_port})
        )
        formatted_for = broker.formatted_for(self._kafka_folder)
        return self._state.update(
            broker_port=broker_port,
            controller_port=controller_port,
            cluster_id=_new_cluster_id() if formatted_for is None else formatted_for,
        )

    # The cache

    @property
    def _cache_folder(self) -> Path:
        return self.folder / "cache"

    def _users_cache(self, state: State) -> str | None:
        named = self._environment.get(CACHE_VARIABLE)
        return named if named and named != _cache_url(state) else None

    def _cache_answers(self, state: State) -> bool:
        return (
            state.cache is not None
            and process.is_alive(state.cache)
            and cache_server.answers(_cache_url(state), state.cache)
        )

    def _up_cache(self, progress: Progress) -> str:
        state = self._state.read()
        named = self._users_cache(state)
        if named:
            progress(
                f"cache: using yours at {_without_password(named)} ({CACHE_VARIABLE} is set), starting none"
            )
            _require(named, CACHE_VARIABLE, CACHE_PORT)
            return named
        server = CacheServer(self._cache_folder, state.cache_port)
        if state.cache is not None and process.is_alive(state.cache):
            server.wait_until_answering(state.cache)
            progress(f"cache: already running at {server.url}")
            return server.url

        program = cache_server.find(self._environment)
        port = _free_or_other(state.cache_port, "the cache", progress)
        server = CacheServer(self._cache_folder, port)
        started = server.start(program, self._environment)
        self._remember(started, cache=started, cache_port=port)
        server.wait_until_answering(started)
        progress(f"cache: running at {server.url}")
        self._tell_of_a_move(CACHE_VARIABLE, server.url, progress)
        return server.url

    def _remember(self, started: Started, **changes: Any) -> None:
        """Write down what was started; end it where that fails (a full disk, Ctrl-C), or nobody would know of it."""
        try:
            self._state.update(**changes)
        except BaseException:
            process.kill(started)
            raise

    def _tell_of_a_move(self, variable: str, address: str, progress: Progress) -> None:
        """The variable named ours until now. From now on it would be taken for an address of the user's."""
        named = self._environment.get(variable)
        if named and named != address:
            progress(f"{variable} still names {named}, where it was before: `unset {variable}` in this shell")

    def _not_up(self, what: str) -> DependencyError:
        return DependencyError(
            f"the local stack in {self.folder} is not up: {what} not running",
            hint="`tagline local up` starts it",
        )


def kafka_class_path(environment: Mapping[str, str], progress: Progress) -> str:
    """Of the Kafka that ``KAFKA_HOME`` names, or else of the pinned jars, fetched when they are missing.

    Raises DependencyError when neither is to be had, and UsageError when Java could not find it there.
    """
    home = environment.get("KAFKA_HOME")
    folder = Path(home) if home else jars.default_cache(environment)
    if os.pathsep in str(folder):
        raise UsageError(
            f"Java cannot run Kafka from {folder}: it takes a path with a {os.pathsep!r} for two",
            hint=f"set {'KAFKA_HOME' if home else 'TAGLINE_CACHE_DIR'} to a folder without one in its path",
        )
    return broker.class_path_of(folder) if home else os.pathsep.join(map(str, jars.ensure(folder, progress)))


def _broker_of(folder: Path, state: State) -> Broker:
    return Broker(folder, state.broker_port, state.controller_port, state.cluster_id)


def _broker_address(state: State) -> str:
    return f"{ports.LOOPBACK}:{state.broker_port}" if state.broker_port else ""


def _cache_url(state: State) -> str:
    return CacheServer(Path(), state.cache_port).url if state.cache_port else ""


def _new_cluster_id() -> str:
    """As Kafka makes them: a random UUID in URL-safe base 64, never beginning with a dash."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def _free_or_other(port: int, whose: str, progress: Progress, taken: frozenset[int] = frozenset()) -> int:
    if port and port not in taken and ports.is_free(port):
        return port
    other = ports.find_free(taken)
    if port:
        progress(f"port {port} of {whose} was taken by another program; using {other}")
    return other


def _pid(started: Started | None) -> int | None:
    return started.pid if started is not None and process.is_alive(started) else None


def _require(address: str, variable: str, default_port: int) -> None:
    if not _reachable(address, default_port):
        raise DependencyError(
            f"nothing listens at {_without_password(address)}, which {variable} names",
            hint=f"start it, or unset {variable} to have one started here",
        )


def _reachable(address: str, default_port: int) -> bool:
    """Whether something listens there. Only that: asking more would need the user's credentials."""
    return any(_listens(server, default_port) for server in address.split(","))


def _listens(server: str, default_port: int) -> bool:
    """Nothing does at what is no address: brackets that do not close, a port beyond all ports, a path that is too long."""
    try:
        url = urlsplit(server if "://" in server else f"//{server}")
        if url.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(url.path)
        else:
            socket.create_connection((url.hostname or "", url.port or default_port), timeout=2.0).close()
    except (OSError, ValueError):
        return False
    return True


def _without_password(address: str) -> str:
    """The address without what may hold one: all before the last ``@``, and all of the query (``?password=``)."""
    scheme, mark, rest = address.partition("://") if "://" in address else ("", "", address)
    _, at, place = rest.rpartition("@")
    place, question, _ = place.partition("?")
    return f"{scheme}{mark}{'***@' if at else ''}{place}{'?***' if question else ''}"
