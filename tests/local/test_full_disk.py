"""A state that cannot be written (a full disk, an interrupt): nothing is left running that nobody knows of."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from worker.errors import DependencyError
from worker.local import process
from worker.local.folders import cannot_write
from worker.local.process import Started
from worker.local.stack import CACHE_VARIABLE, KAFKA_VARIABLE, Stack
from worker.local.state import State, StateFile

PLAIN = {name: value for name, value in os.environ.items() if name not in (KAFKA_VARIABLE, CACHE_VARIABLE)}


def ignore(_line: str) -> None:
    pass


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Its Kafka is the user's, so that only the cache is started."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        yield Stack(tmp_path / "stack", PLAIN | {KAFKA_VARIABLE: address})


def _full(folder: Path) -> DependencyError:
    return cannot_write(folder, "TAGLINE_LOCAL_DIR", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_was_started_and_cannot_be_remembered_is_ended(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    started: list[Started] = []

    def refuse(_file: StateFile, **changes: Any) -> State:
        started.append(changes["cache"])
        assert process.is_alive(started[0])
        raise KeyboardInterrupt if interrupted else _full(stack.folder)

    monkeypatch.setattr(StateFile, "update", refuse)
    with pytest.raises(KeyboardInterrupt if interrupted else DependencyError):
        stack.up(ignore)
    assert len(started) == 1
    assert not process.is_alive(started[0])


def test_a_wipe_frees_the_space_that_writing_the_state_needs(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up(ignore)
    written = StateFile.update

    def refuse_while_full(file: StateFile, **changes: Any) -> State:
        if (stack.folder / "cache").exists():
            raise _full(stack.folder)
        return written(file, **changes)

    monkeypatch.setattr(StateFile, "update", refuse_while_full)
    stack.down(ignore, wipe=True)
    assert not (stack.folder / "cache").exists()
    assert not any(part.running for part in stack.status()[1:])
