"""Are the libraries new enough? Each floor has its reason."""

import platform
import re
from importlib.metadata import PackageNotFoundError, version

from worker.doctor.finding import Finding, failed, ok
from worker.errors import ExitCode

FLOORS = {
    "python": ("3.11", "tagline is written for it"),
    "torch": ("2.10", "older ones run code from a weights file (CVE-2026-24747)"),
    "transformers": ("5.10", "older ones run code named by config.json (CVE-2026-4372)"),
    "confluent-kafka": ("2.16", "the threading rules of the stream rely on it"),
    "redis": ("8", "time-outs and retries are set the way it understands them"),
}
"""Package to its lowest version and why."""


def installed() -> dict[str, str | None]:
    """Package to the version here, ``None`` when it is missing."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in FLOORS:
        if package != "python":
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = None
    return found


def judge(versions: dict[str, str | None]) -> list[Finding]:
    """One finding for each package under its floor; one for all of them when none is."""
    findings = []
    for package, (floor, reason) in FLOORS.items():
        here = versions.get(package)
        if here is None or _release(here) < _release(floor):
            findings.append(
                failed(
                    "versions",
                    f"{package} {here or 'is missing'}, at least {floor} is needed: {reason}",
                    "`make setup` installs the versions that were tested",
                    ExitCode.DEPENDENCY,
                )
            )
    return findings or [ok("versions", ", ".join(f"{name} {here}" for name, here in versions.items()))]


def _release(text: str) -> tuple[int, ...]:
    """``2.10.1+cpu`` -> ``(2, 10, 1)``."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
