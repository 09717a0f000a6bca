"""A certificate authority of a test's own, made with the openssl program."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Vouches for what it issues, for a day. Its own certificate is what clients are given as ``ca_file``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl(
            "req",
            "-x509",
            *_NEW_KEY,
            self._key,
            "-days",
            "1",
            "-subj",
            f"/CN={name}",
            "-out",
            self.certificate,
        )

    def issue(self, name: str, *, hosts: str = "") -> Certificate:
        """A certificate for `name` and, if it is a server's, for `hosts` (``DNS:localhost,IP:127.0.0.1``)."""
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        issued = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        extensions.write_text(f"subjectAltName={hosts}\n" if hosts else "", "utf-8")
        _openssl("req", *_NEW_KEY, issued.key, "-subj", f"/CN={name}", "-out", request)
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-days", "1", "-extfile", extensions, "-out", issued.certificate,
        )  # fmt: skip
        return issued


_NEW_KEY = ("-newkey", "rsa:2048", "-nodes", "-keyout")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
