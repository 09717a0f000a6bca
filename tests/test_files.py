"""What lies at a path: a file, a folder, something, nothing, or what we may not know."""

import errno
import os
from pathlib import Path

import pytest

from worker.files import exists, is_file, is_folder


def test_each_kind_is_told_from_the_others(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    kinds = {
        name: (exists(tmp_path / name), is_file(tmp_path / name), is_folder(tmp_path / name))
        for name in ("file", ".", "pipe", "missing", "file/below", "loop", "x" * 300)
    }
    assert kinds == {
        "file": (True, True, False),
        ".": (True, False, True),
        "pipe": (True, False, False),
        "missing": (False, False, False),
        "file/below": (False, False, False),
        "loop": (False, False, False),
        "x" * 300: (False, False, False),
    }


def test_what_may_not_be_looked_at_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: bool) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    for look in (exists, is_file, is_folder):
        with pytest.raises(PermissionError):
            look(Path("locked"))
