"""What is remembered between commands, on a disk that does not take it."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from worker.errors import DependencyError
from worker.local.state import State, StateFile


def test_a_full_disk_leaves_the_old_state_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateFile(tmp_path)
    state.update(broker_port=1)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(DependencyError, match=os.strerror(errno.ENOSPC)) as raised:
        state.update(broker_port=2)

    assert str(tmp_path) in raised.value.message
    assert "TAGLINE_LOCAL_DIR" in str(raised.value.hint)
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]
    assert state.read().broker_port == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1, "broker": 3}'])
def test_a_state_that_cannot_be_understood_is_refused_and_stays(tmp_path: Path, content: str) -> None:
    """It may be all that knows of what runs."""
    file = tmp_path / "state.json"
    file.write_text(content)
    for act in (StateFile(tmp_path).read, StateFile(tmp_path).update):
        with pytest.raises(DependencyError, match=str(file)) as raised:
            act()
        assert "delete that file" in str(raised.value.hint)
    assert file.read_text() == content


def test_a_state_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()
    with pytest.raises(DependencyError, match=f"state.json .*{os.strerror(errno.EISDIR)}"):
        StateFile(tmp_path).read()


def test_without_a_state_there_is_a_fresh_one(tmp_path: Path) -> None:
    assert StateFile(tmp_path / "nowhere").read() == State()
