"""Ports of this machine: HTTP to them past a proxy that the environment may name, and one that nobody has."""

import socket
import urllib.request

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
