"""The pinned list, and the cache that never holds anything else. No network: the resolver is given."""

import errno
import hashlib
import os
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from worker.errors import DependencyError
from worker.local.jars import KAFKA_VERSION, Jar, default_cache, ensure, pinned


def content_of(jar: Jar) -> bytes:
    return f"the jar of {jar}".encode()


def made_up(number: int) -> Jar:
    jar = Jar("org.example", f"part{number}", "1.0", "")
    return Jar(jar.group, jar.artifact, jar.version, hashlib.sha256(content_of(jar)).hexdigest())


WANTED = tuple(made_up(number) for number in range(12))


class Source:
    """A repository that counts, and can spoil or refuse the first answers for a jar."""

    def __init__(self, *, spoil: int = 0, refuse: int = 0) -> None:
        self.asked: list[str] = []
        self._spoil, self._refuse = spoil, refuse
        self._lock = threading.Lock()

    def __call__(self, jar: Jar, scratch: Path) -> Path:
        with self._lock:
            self.asked.append(jar.artifact)
            times = self.asked.count(jar.artifact)
        if times <= self._refuse:
            raise OSError("no route")
        target = scratch / "somewhere" / jar.file_name
        target.parent.mkdir()
        target.write_bytes(content_of(jar)[: -1 if times <= self._spoil else None])
        return target


def ignore(_line: str) -> None:
    pass


def test_a_cache_folder_that_cannot_be_made_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DependencyError, match="cannot make the folder") as refused:
        ensure(tmp_path / "file" / "cache", ignore, resolver=Source(), wanted=WANTED)
    assert "TAGLINE_CACHE_DIR" in (refused.value.hint or "")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(DependencyError, match="no home folder") as refused:
        default_cache({})
    assert "TAGLINE_CACHE_DIR" in (refused.value.hint or "")


def files_in(cache: Path) -> set[str]:
    return {path.name for path in (cache / f"kafka-{KAFKA_VERSION}").iterdir() if path.name != ".lock"}


def test_the_list_pins_every_jar_once_by_exact_version_and_hash() -> None:
    jars = pinned()
    assert len(jars) == 45
    assert len({(jar.group, jar.artifact) for jar in jars}) == 45
    assert len({jar.file_name for jar in jars}) == 45
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert all(re.fullmatch(r"[0-9][\w.-]*", jar.version) for jar in jars)
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {KAFKA_VERSION}


def test_all_are_fetched_once_and_then_never_again(tmp_path: Path) -> None:
    source = Source()
    said: list[str] = []
    paths = ensure(tmp_path, said.append, resolver=source, wanted=WANTED)
    assert [path.read_bytes() for path in paths] == [content_of(jar) for jar in WANTED]
    assert said[-1] == "fetched 12 of 12 jars"
    assert files_in(tmp_path) == {jar.file_name for jar in WANTED}, "scratch folders are gone"

    assert ensure(tmp_path, said.append, resolver=source, wanted=WANTED) == paths
    assert len(source.asked) == 12


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_jar_is_fetched_again_and_only_that_one(tmp_path: Path, damage: str) -> None:
    paths = ensure(tmp_path, ignore, resolver=Source(), wanted=WANTED)
    if damage == "cut":
        paths[3].write_bytes(paths[3].read_bytes()[:5])
    elif damage == "changed":
        paths[3].write_bytes(bytes(len(content_of(WANTED[3]))))
    else:
        paths[3].unlink()
    again = Source()
    ensure(tmp_path, ignore, resolver=again, wanted=WANTED)
    assert again.asked == ["part3"]
    assert paths[3].read_bytes() == content_of(WANTED[3])


@pytest.mark.parametrize("source", [Source(spoil=1), Source(refuse=2)], ids=["spoiled once", "refused twice"])
def test_a_fetch_that_fails_is_tried_again(tmp_path: Path, source: Source) -> None:
    (path,) = ensure(tmp_path, ignore, resolver=source, wanted=WANTED[:1])
    assert path.read_bytes() == content_of(WANTED[0])


def test_what_is_not_the_pinned_file_never_enters_the_cache(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match=r"org.example:part0:1.0 .*SHA-256") as raised:
        ensure(tmp_path, ignore, resolver=Source(spoil=99), wanted=WANTED[:1])
    assert "KAFKA_HOME" in str(raised.value.hint)
    assert files_in(tmp_path) == set()


def test_no_network_says_which_jar_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="could not be fetched: OSError") as raised:
        ensure(tmp_path, ignore, resolver=Source(refuse=99), wanted=WANTED)
    assert "network" in str(raised.value.hint)


def test_a_full_disk_is_not_called_a_fault_of_the_network_and_not_tried_again(tmp_path: Path) -> None:
    asked = []

    def full(jar: Jar, scratch: Path) -> Path:
        asked.append(jar)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DependencyError, match=rf"cannot write .*{os.strerror(errno.ENOSPC)}") as raised:
        ensure(tmp_path, ignore, resolver=full, wanted=WANTED[:1])
    assert "TAGLINE_CACHE_DIR" in str(raised.value.hint)
    assert "network" not in f"{raised.value} {raised.value.hint}"
    assert len(asked) == 1
    assert files_in(tmp_path) == set()


def test_what_a_killed_fetch_left_behind_is_removed(tmp_path: Path) -> None:
    half_done = tmp_path / f"kafka-{KAFKA_VERSION}" / ".fetch-abc"
    half_done.mkdir(parents=True)
    (half_done / "half.jar").write_bytes(b"half")
    ensure(tmp_path, ignore, resolver=Source(), wanted=WANTED)
    assert not half_done.exists()


def test_two_projects_that_start_together_fetch_once(tmp_path: Path) -> None:
    source = Source()

    def slow(jar: Jar, scratch: Path) -> Path:
        time.sleep(0.02)
        return source(jar, scratch)

    def one() -> None:
        ensure(tmp_path, ignore, resolver=slow, wanted=WANTED)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(source.asked) == sorted(jar.artifact for jar in WANTED)


def test_the_cache_is_the_users_unless_another_folder_is_named(tmp_path: Path) -> None:
    assert default_cache({"TAGLINE_CACHE_DIR": str(tmp_path), "XDG_CACHE_HOME": "/x"}) == tmp_path
    assert default_cache({"XDG_CACHE_HOME": "/x"}) == Path("/x/tagline")
    assert default_cache({}) == Path.home() / ".cache" / "tagline"


def test_the_standard_resolver_copies_from_the_users_maven_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "m2" / "org" / "example" / "part0" / "1.0" / WANTED[0].file_name
    own.parent.mkdir(parents=True)
    own.write_bytes(content_of(WANTED[0]))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "none"))
    (path,) = ensure(tmp_path / "cache", ignore, wanted=WANTED[:1])
    assert path.read_bytes() == content_of(WANTED[0])
    assert own.exists(), "copied, not moved"
    shutil.rmtree(tmp_path / "m2")
