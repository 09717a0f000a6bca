"""Brokers that let nobody in, on a socket of this process: one refuses every password, one shows an unknown certificate."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import Authority
from worker.settings import Settings

SAID = "Invalid username or password"
WRONG_PASSWORD = "hush-hush"  # noqa: S105 # nobody's
_API_VERSIONS, _SASL_HANDSHAKE, _SASL_AUTHENTICATE = 18, 17, 36
_VERSIONS = ((3, 0, 1), (_SASL_HANDSHAKE, 0, 1), (_API_VERSIONS, 0, 0), (_SASL_AUTHENTICATE, 0, 0))
"""Requests that it claims to know: metadata, and what leads to a password."""
_UNSUPPORTED_VERSION, _SASL_AUTHENTICATION_FAILED = 35, 58


def with_wrong_password(address: str) -> Settings:
    """What somebody has set who mistook the password."""
    kafka = {
        "bootstrap_servers": address,
        "security_protocol": "SASL_PLAINTEXT",
        "allow_insecure": True,
        "sasl_mechanism": "PLAIN",
        "username": "tagline",
        "password": WRONG_PASSWORD,
    }
    return Settings.model_validate({"kafka": kafka})


@contextmanager
def refusing_passwords() -> Iterator[str]:
    """Address of a broker that speaks SASL PLAIN and refuses."""
    with _serving(_refuse_password) as address:
        yield address


@contextmanager
def vouched_for_by_nobody(folder: Path) -> Iterator[str]:
    """Address of a TLS server whose certificate is of an authority that nobody knows."""
    certificate, key = Authority(folder).issue("localhost", hosts="DNS:localhost,IP:127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with _serving(lambda connection: context.wrap_socket(connection, server_side=True).close()) as address:
        yield address


@contextmanager
def _serving(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    server = socket.create_server(("127.0.0.1", 0))

    def guarded(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            talk(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=guarded, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def _refuse_password(connection: socket.socket) -> None:
    stream = connection.makefile("rb")
    while len(prefix := stream.read(4)) == 4:
        request = stream.read(struct.unpack(">i", prefix)[0])
        api, version, correlation = struct.unpack(">hhi", request[:8])
        body = struct.pack(">i", correlation) + _answer(api, version)
        connection.sendall(struct.pack(">i", len(body)) + body)


def _answer(api: int, version: int) -> bytes:
    if api == _API_VERSIONS:
        known = b"".join(struct.pack(">hhh", *entry) for entry in _VERSIONS)
        return struct.pack(">hi", _UNSUPPORTED_VERSION if version else 0, len(_VERSIONS)) + known
    if api == _SASL_HANDSHAKE:
        return struct.pack(">hi", 0, 1) + _string("PLAIN")
    assert api == _SASL_AUTHENTICATE
    return struct.pack(">h", _SASL_AUTHENTICATION_FAILED) + _string(SAID) + struct.pack(">i", 0)


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
