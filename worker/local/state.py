"""What is remembered of the local stack between commands, and the lock that lets one command change it at a time."""

import fcntl
import json
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from worker.errors import DependencyError
from worker.local.folders import cannot_write, make_folder
from worker.local.process import Started

_FORMAT = 1


@dataclass(frozen=True)
class State:
    """Ports are kept after the processes end, so that a restart keeps the addresses."""

    cluster_id: str = ""
    """Of the formatted data; empty when there is none."""
    broker_port: int = 0
    controller_port: int = 0
    cache_port: int = 0
    broker: Started | None = None
    cache: Started | None = None
    format: int = field(default=_FORMAT)


def default_folder(environment: Mapping[str, str]) -> Path:
    """``TAGLINE_LOCAL_DIR``, or ``.tagline`` in the current folder."""
    return Path(environment.get("TAGLINE_LOCAL_DIR") or ".tagline").absolute()


class StateFile:
    """``state.json`` in a folder. Reading needs no lock; every change is made while holding it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "state.json"
        self._lock_file = folder / "lock"

    def read(self) -> State:
        """The state; a fresh one when there is none.

        Raises DependencyError when there is one that cannot be understood: it may be all that knows of what runs.
        """
        try:
            raw = json.loads(self._file.read_bytes())
            if raw["format"] != _FORMAT:
                raise self._not_understood("written by another version of tagline")
            broker, cache = raw.pop("broker"), raw.pop("cache")
            return State(
                **raw, broker=Started(**broker) if broker else None, cache=Started(**cache) if cache else None
            )
        except (FileNotFoundError, NotADirectoryError):
            return State()
        except OSError as error:
            raise self._not_understood(str(error.strerror)) from error
        except (ValueError, TypeError, KeyError) as error:
            raise self._not_understood("damaged") from error

    def _not_understood(self, why: str) -> DependencyError:
        return DependencyError(
            f"{self._file} remembers what runs, and cannot be read: {why}",
            hint=f"end what still runs there (`pgrep -f {shlex.quote(str(self._file.parent))}` finds it), then delete that file: "
            "`tagline local up` starts again with the data that is kept",
        )

    def update(self, **changes: Any) -> State:
        """Write the state with ``changes`` applied, in one step: a crash leaves the old one or the new one.

        Raises DependencyError when the disk does not take it; the old one stays.
        """
        state = replace(self.read(), **changes)
        folder = self._file.parent
        make_folder(folder, "TAGLINE_LOCAL_DIR")
        try:
            descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".state-")
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump(asdict(state), file, indent=1)
                Path(temporary).replace(self._file)
            finally:
                Path(temporary).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(folder, "TAGLINE_LOCAL_DIR", error) from error
        return state

    @contextmanager
    def locked(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the lock. Blocks while another command holds it, after calling ``waiting`` once.

        The system lets go of it when the holder ends, however it ends, so a stale lock does not exist.
        """
        make_folder(self._lock_file.parent, "TAGLINE_LOCAL_DIR")
        with self._lock_file.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
