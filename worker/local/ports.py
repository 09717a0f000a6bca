"""Free loopback ports."""

import random
import socket

LOOPBACK = "127.0.0.1"
_RANGE = range(20_000, 30_000)
"""Below the ports that systems hand to outgoing connections. One of those could be taken while a server restarts, and a
client that keeps trying a dead port among them can even end up connected to itself."""


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of the loopback address now."""
    with socket.socket() as probe:
        # As servers do: without it, connections that ended a moment ago would block their old port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def find_free(taken: frozenset[int]) -> int:
    """A port that is free now and not in ``taken``."""
    for port in random.sample(_RANGE, len(_RANGE)):
        if port not in taken and is_free(port):
            return port
    raise OSError("no free loopback port between 20000 and 30000")
