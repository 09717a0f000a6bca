"""TLS in front of a server that speaks none, as many managed services have it: the Valkey of the tests is built without."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.certificates import Certificate


@contextmanager
def tls_front(port: int, certificate: Certificate) -> Iterator[int]:
    """A port that shows `certificate` and passes what it is sent on to the loopback `port`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(connection: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            connection,
            context.wrap_socket(connection, server_side=True) as client,
            socket.create_connection(("127.0.0.1", port)) as server,
        ):
            _relay(client, server)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _relay(client: ssl.SSLSocket, server: socket.socket) -> None:
    """One thread for both ways: a TLS connection is not for two at once."""
    while True:
        ready = [client] if client.pending() else select.select([client, server], [], [])[0]
        for source in ready:
            data = source.recv(65_536)
            if not data:
                return
            (server if source is client else client).sendall(data)
