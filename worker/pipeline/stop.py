"""Signals to a running worker: the first asks it to drain, the second cuts it short. One that still starts just ends.

Python runs its handlers on the main thread between two of its instructions, which belongs to the client's calls: while one
waits for a broker that is away, for a minute perhaps, nobody would hear. So the signals are read by a thread, from the
socket into which Python's own handler in C writes their numbers at once.
"""

import os
import select
import signal
import socket
import threading
from types import FrameType
from typing import NoReturn

from worker.errors import ExitCode

SAY_TIMEOUT_S = 0.5
MARGIN_S = 10.0
"""On top of the drain time-out, for closing clients whose broker is away, before the process is ended by force."""

_HEARD = (signal.SIGTERM, signal.SIGINT)
_STDERR = 2


class StopSignal:
    """SIGTERM and SIGINT, seen by the owner's loop between two polls. Its thread hears them, and watches the time of a drain."""

    def __init__(self, drain_timeout_s: float = 25.0) -> None:
        self.drain_timeout_s = drain_timeout_s
        """How long a drain may take; may be set later, when the settings are known."""
        self._asked = threading.Event()
        self._begun = False

    def install(self) -> None:
        """Take the two signals over. Main thread only."""
        heard, told = socket.socketpair()
        told.setblocking(False)  # as Python asks; a signal more than it holds is one too many anyway
        signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
        threading.Thread(target=self._hear, args=(heard,), name="tagline-signals", daemon=True).start()
        for number in _HEARD:
            signal.signal(number, _heard_elsewhere)

    def begin(self) -> None:
        """From here on something may be in flight, and a signal asks for a drain. Until here it ends the process at once,
        with exit code 0: a model that loads, or a client that waits for its broker, has nothing to finish and cannot be
        interrupted.
        """
        self._begun = True

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self._asked.is_set()

    def ignore(self) -> None:
        """From here on signals change nothing: the work is over, and the interpreter, which takes its handlers down before it
        ends, would die of one. Main thread only.
        """
        for number in _HEARD:
            signal.signal(number, signal.SIG_IGN)

    def _hear(self, signals: socket.socket) -> None:
        while True:
            try:
                heard = signals.recv(64)
            except TimeoutError:
                end_at_once(ExitCode.DRAIN, "the drain did not end in time")
            for number in heard:
                if number not in _HEARD:
                    continue
                if not self._begun:
                    end_at_once(ExitCode.OK, "told to stop before anything was read")
                if self._asked.is_set():
                    end_at_once(ExitCode.KILLED, "second signal")
                self._asked.set()
                # No timer, which is a thread that perhaps cannot be started.
                signals.settimeout(self.drain_timeout_s + MARGIN_S)


def _heard_elsewhere(_number: int, _frame: FrameType | None) -> None:
    """Without a handler Python would leave a signal to its default, which ends the process."""


def end_at_once(code: ExitCode, why: str) -> NoReturn:
    """End the process without cleaning up: nothing uncommitted is lost, it is read again. Takes half a second at most.

    It says why past Python's stream, whose lock a blocked writer may hold, and only where there is room at once: a log that
    nobody reads any more blocks whoever writes to it. No thread waits for that in our place, because perhaps none can be
    started: there is no room for one, or the interpreter ends (Python 3.12.0 to 3.12.2).
    """
    line = f"tagline: ended at once: {why}\n".encode()
    try:
        if select.select([], [_STDERR], [], SAY_TIMEOUT_S)[1]:
            os.write(_STDERR, line[: select.PIPE_BUF])  # so much fits into a pipe that has room
    except (OSError, ValueError):
        pass  # whoever read our log may be gone
    finally:
        os._exit(code)
