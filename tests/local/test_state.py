"""What is remembered between commands, on a disk that does not take it."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from worker.errors import DependencyError
from worker.local.state import StateFile


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
