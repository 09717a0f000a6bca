"""Child processes: the worker as it is run in production, and measurements that want the cores to themselves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, cast

import orjson

from worker.errors import DependencyError
from worker.local.interrupts import undisturbed

WORKER = ("worker.cli", "run")
"""What is measured: the worker as it is started in production."""
MODULE = (sys.executable, "-P", "-m")
"""How a module of ours is run: without ``-P`` a `worker` in the current folder would be taken for it."""
STOP_TIMEOUT_S = 60.0
MEASUREMENT_TIMEOUT_S = 1_800.0
_RSS_READINGS = 5


class WorkerProcess:
    """``tagline run`` in a process of its own. Use as a context manager: it is gone afterwards."""

    def __init__(self, environment: Mapping[str, str], log_file: Path) -> None:
        """Start it; it is not ready yet when this returns."""
        self._log_file = log_file
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*MODULE, *WORKER],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the bench's to handle
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with undisturbed():
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def check(self) -> None:
        """Raise DependencyError, with the end of its log, if it is gone."""
        if self._process.poll() is not None:
            last = "\n".join(self._log_file.read_text("utf-8", "replace").splitlines()[-10:])
            raise DependencyError(f"the worker ended with exit code {self._process.returncode}:\n{last}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still meanwhile, so that records can be laid out for it. Shorter than its session time-out, please."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def resident_kb(self) -> int:
        """Resident memory now: the median of five readings within a second."""
        readings = []
        for _ in range(_RSS_READINGS):
            self.check()
            listed = subprocess.run(
                ["ps", "-o", "rss=", "-p", str(self._process.pid)], capture_output=True, text=True, check=True
            )
            readings.append(int(listed.stdout))
            time.sleep(0.2)
        return sorted(readings)[_RSS_READINGS // 2]


def measure(
    program: list[str], specification: dict[str, object], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Run a measuring module to its end and return what it found. Raises DependencyError when it fails."""
    done = subprocess.run(
        [*MODULE, *program],
        input=orjson.dumps(specification),
        capture_output=True,
        env=dict(environment),
        timeout=MEASUREMENT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(done.stderr.decode("utf-8", "replace").splitlines()[-10:])
        raise DependencyError(f"{' '.join(program)} ended with exit code {done.returncode}:\n{last}")
    return cast("dict[str, Any]", orjson.loads(done.stdout))


def child_environment(**settings: str) -> dict[str, str]:
    """Our environment, with these settings (names without `TAGLINE_`) in it: the user's own settings are measured."""
    return os.environ | {f"TAGLINE_{name}": value for name, value in settings.items()}
