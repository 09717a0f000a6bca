"""Arguments that a library below refuses in its own way: exit code 2 with what is wrong, no traceback."""

import errno
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.classify.checkpoints import tiny_bert, write_checkpoint
from worker.cli import main
from worker.errors import ExitCode
from worker.stream import dead_letter_tools, reading
from worker.stream.dead_letter_tools import Letter


@pytest.mark.parametrize(
    "arguments",
    [
        ["topics", "create", "--partitions", "100001"],
        ["topics", "create", "--replication", "99999"],
        ["topics", "check", "--partitions", "9999999999999"],
    ],
)
def test_more_than_the_client_asks_for_is_refused_by_the_option_s_name(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == ExitCode.USAGE
    assert f"Invalid value for '{arguments[2]}'" in capsys.readouterr().err


def test_dead_letters_since_before_1970_are_all_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int | None] = []

    def none(_reader: object, _topics: object, *, since_ms: int | None) -> Iterator[Letter]:
        asked.append(since_ms)
        return iter(())

    monkeypatch.setattr(reading, "Reader", lambda *_: nullcontext())
    monkeypatch.setattr(dead_letter_tools, "letters", none)
    for since in ("99999999999999999999d", "30000d"):
        assert main(["dlq", "list", "--since", since]) == ExitCode.OK
    assert asked == [0, 0]
    assert "0 dead letters" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300])
def test_contracts_cannot_be_exported_into_a_file(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["contracts", "export", "--to", str(tmp_path / place)]) == ExitCode.USAGE
    assert "no folder to write in" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_contract_that_is_not_utf8_is_drift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contracts", "export", "--to", str(tmp_path)]) == ExitCode.OK
    next((tmp_path / "schemas").glob("*.json")).write_bytes(b"\xff\xfe")
    assert main(["contracts", "check", "--against", str(tmp_path)]) == ExitCode.DATA
    assert "drift: schemas/" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["file/below/it", "x" * 300])
def test_a_bundle_cannot_be_made_below_a_file(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", os.path.exists)  # Python 3.14's, which hides every refusal
    checkpoint = write_checkpoint(tiny_bert(3), tmp_path / "in")
    (tmp_path / "file").write_text("mine")
    arguments = ["model", "import", str(checkpoint), "--to", str(tmp_path / place), "--name", "it"]
    assert main([*arguments, "--labels", "negative,neutral,positive"]) == ExitCode.USAGE
    assert "cannot be made" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["contracts", "check", "--against", "locked"],
        ["model", "import", "locked", "--to", "out", "--name", "it"],
        ["model", "import", "locked/model", "--to", "out", "--name", "it"],
    ],
)
def test_a_folder_that_may_not_be_looked_into_is_not_called_missing(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look = Path.stat

    def refuse(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.parts[:1] == ("locked",):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return look(path, follow_symlinks=follow_symlinks)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "stat", refuse)
    for name, hiding in (("exists", "exists"), ("is_file", "isfile"), ("is_dir", "isdir")):
        monkeypatch.setattr(Path, name, getattr(os.path, hiding))  # Python 3.14's, which hide every refusal
    assert main(arguments) == ExitCode.DEPENDENCY
    said = capsys.readouterr().err
    assert said.startswith("error: locked")
    assert "Permission denied" in said


@pytest.mark.parametrize("command", [["train", "compare"], ["train", "prepare", "--out", "there"]])
def test_a_name_longer_than_names_may_be_is_no_bug(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command, "x" * 300]) == ExitCode.USAGE
    assert "xxx" in capsys.readouterr().err
