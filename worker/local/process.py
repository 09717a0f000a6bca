"""Child processes that outlive the command that starts them, and are ended by exactly what was recorded at their start.

A pid alone does not name a process: the system hands it out again. It is recorded together with the time of its start,
and nothing is signalled whose start does not match.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_SAME_START_S = 0.5
"""Start times are whole clock ticks after boot, so equal ones differ by rounding only."""
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Started:
    """A process, named so that it cannot be mistaken for another."""

    pid: int
    after_boot_s: float
    """Its start, in seconds after the machine's: unlike the time of day it does not move when the clock is set."""


def start(command: Sequence[str], *, output: Path, environment: Mapping[str, str]) -> Started:
    """Run ``command`` (its first part an absolute path) in a session of its own, its output in a file. Does not wait.

    The session keeps Ctrl-C and a closed terminal away from it; nothing of ours is inherited but ``environment``.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    # posix_spawn, because subprocess.Popen wants to be kept until its child ends, and this child outlives us.
    pid = os.posix_spawn(
        command[0],
        list(command),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(output), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Started(pid, _after_boot_s(psutil.Process(pid)))


def is_alive(process: Started) -> bool:
    """Whether this very process still runs (a stopped one does; an ended one that nobody has waited for does not)."""
    return _find(process) is not None


def send(process: Started, signal_number: int) -> None:
    """Send a signal to the process and its group; nothing if it has ended."""
    if _find(process) is not None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)


def end(process: Started, *, patience_s: float) -> bool:
    """Ask the process to end, then force it. Blocks until it is gone, at most ``patience_s`` and a moment.

    Returns whether it went by itself. A process that is stopped is woken, or it would never see the request.
    """
    send(process, signal.SIGTERM)
    send(process, signal.SIGCONT)
    if wait(process, patience_s):
        return True
    kill(process)
    return False


def kill(process: Started) -> None:
    """End the process without asking. Blocks until it is gone."""
    send(process, signal.SIGKILL)
    wait(process, 10.0)


def wait(process: Started, patience_s: float) -> bool:
    """Wait until the process is gone; whether it is."""
    deadline = time.monotonic() + patience_s
    while is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _find(process: Started) -> psutil.Process | None:
    try:
        found = psutil.Process(process.pid)
        if found.status() == psutil.STATUS_ZOMBIE and _has_ended(found):
            return None
        same = abs(_after_boot_s(found) - process.after_boot_s) < _SAME_START_S
    except psutil.NoSuchProcess:
        return None
    return found if same else None


def _has_ended(zombie: psutil.Process) -> bool:
    """Whether all of it has ended, and let it go if it is a child of ours.

    A process is a zombie as soon as its first thread is, while others may still hold its ports and files.
    """
    try:
        ended, _ = os.waitpid(zombie.pid, os.WNOHANG)
    except ChildProcessError:
        return bool(zombie.num_threads() <= 1)
    return bool(ended)


def _after_boot_s(process: psutil.Process) -> float:
    return float(process.create_time() - psutil.boot_time())
