"""The jars that Apache Kafka runs from: pinned, fetched once, checked at every start.

``kafka-jars.txt`` names each by its Maven coordinates and SHA-256. They are fetched by exact coordinates and never by
resolving dependencies, so what runs is what was tested. A jar enters the cache in one step and only with the right hash;
one that is damaged later is fetched again.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from worker.errors import DependencyError
from worker.local.folders import REFUSALS, cannot_write, make_folder

KAFKA_VERSION = "4.3.1"
_AT_ONCE = 8
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in the cache and in a Maven repository."""
        return f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


Resolver = Callable[[Jar, Path], Path]
"""Fetches one jar into a scratch folder and returns the file; any exception means it could not. Called from threads."""


def pinned() -> tuple[Jar, ...]:
    """Every jar of the list. The order is that of the class path."""
    lines = (files("worker.local") / "kafka-jars.txt").read_text("utf-8").split("\n")
    return tuple(_read(line) for line in lines if line)


def default_cache(environment: Mapping[str, str]) -> Path:
    """Where fetched jars are kept for every project of this user: ``TAGLINE_CACHE_DIR`` or the user's cache folder."""
    chosen = environment.get("TAGLINE_CACHE_DIR")
    if chosen:
        return Path(chosen).absolute()
    try:
        return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "tagline"
    except RuntimeError as error:
        raise DependencyError(
            "this user has no home folder to keep Kafka in", hint="set TAGLINE_CACHE_DIR to a folder of yours"
        ) from error


def ensure(
    cache: Path,
    progress: Callable[[str], None],
    *,
    resolver: Resolver | None = None,
    wanted: tuple[Jar, ...] | None = None,
) -> list[Path]:
    """The jars' paths, after fetching those that are missing or damaged. Touches no network when all are there.

    Blocks: 45 MB at the first time, 0.1 s of hashing afterwards. Raises DependencyError when a jar cannot be had.
    """
    wanted = pinned() if wanted is None else wanted
    folder = cache / f"kafka-{KAFKA_VERSION}"
    if _lacking(folder, wanted):
        make_folder(folder, "TAGLINE_CACHE_DIR")
        try:
            with _locked(folder):
                missing = _lacking(folder, wanted)  # another project may have fetched them meanwhile
                if missing:
                    _fetch_all(missing, folder, progress, resolver or fetch)
        except OSError as error:  # what a resolver raises has become a DependencyError
            raise cannot_write(folder, "TAGLINE_CACHE_DIR", error) from error
    return [folder / jar.file_name for jar in wanted]


def fetch(jar: Jar, scratch: Path) -> Path:
    """The standard resolver: a copy from the user's Maven repository if it holds the very jar, else jgo."""
    try:
        from jgo.config import GlobalSettings
        from jgo.maven import MavenContext
    except ImportError as error:
        raise DependencyError(
            "jgo, which fetches Kafka, is not installed", hint="pip install 'tagline[local]'"
        ) from error
    settings = GlobalSettings.load()
    own = settings.repo_cache / Path(*jar.group.split("."), jar.artifact, jar.version, jar.file_name)
    if _matches(own, jar):
        return Path(shutil.copy(own, scratch))
    context = MavenContext(
        repo_cache=scratch, local_repos=[], remote_repos=settings.repositories or None, timeout=30
    )
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    return Path(artifact.resolve())


def _read(line: str) -> Jar:
    coordinates, sha256 = line.split()
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256)


def _lacking(folder: Path, wanted: tuple[Jar, ...]) -> list[Jar]:
    return [jar for jar in wanted if not _matches(folder / jar.file_name, jar)]


def _matches(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def _fetch_all(missing: list[Jar], folder: Path, progress: Callable[[str], None], resolver: Resolver) -> None:
    progress(f"fetching Apache Kafka {KAFKA_VERSION}: {len(missing)} jars, once")
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="jars")
    try:
        _trust_the_system()
        waiting = [pool.submit(_fetch_one, jar, folder, resolver) for jar in missing]
        for done, future in enumerate(as_completed(waiting), start=1):
            future.result()
            if done % 10 == 0 or done == len(missing):
                progress(f"fetched {done} of {len(missing)} jars")
    finally:
        pool.shutdown(cancel_futures=True)


def _trust_the_system() -> None:
    """Check certificates against the system's store, as pip does: behind a company's proxy only that knows its authority."""
    try:
        import truststore
    except ImportError:
        return  # then the bundle of the HTTP library decides
    truststore.inject_into_ssl()


def _fetch_one(jar: Jar, folder: Path, resolver: Resolver) -> None:
    cause: Exception | None = None
    for attempt in range(1, _ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
            try:
                fetched = resolver(jar, Path(scratch))
            except DependencyError:
                raise
            except Exception as error:  # whatever a resolver may raise, the answer is to try again
                if isinstance(error, OSError) and error.errno in REFUSALS:
                    raise  # the disk's fault, which no further attempt and no network mends
                fault, cause = "could not be fetched", error
            else:
                if _matches(fetched, jar):
                    os.replace(fetched, folder / jar.file_name)  # noqa: PTH105 - the atomic move
                    return
                fault, cause = "was fetched, but is not the file that was pinned (SHA-256 differs)", None
        if attempt < _ATTEMPTS:
            time.sleep(0.2 * attempt)
    raise DependencyError(
        f"{jar} {fault}" + (f": {type(cause).__name__}" if cause else ""),
        hint="check the network and proxy; or set KAFKA_HOME to an unpacked Kafka 4, or "
        "TAGLINE_KAFKA_BOOTSTRAP_SERVERS to a broker of your own",
    ) from cause


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One fetch at a time per cache, for all processes; what a killed one left half-done is removed."""
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for leftover in folder.glob(".fetch-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield
