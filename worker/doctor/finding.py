"""One thing that was looked at, how it is, and what would mend it."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from worker.errors import ExitCode


class Level(StrEnum):
    """How bad it is. Only ``FAILED`` decides the exit code."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    level: Level
    detail: str
    hint: str | None = None
    exit_code: ExitCode = ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"level": self.level.value, "exit_code": int(self.exit_code)}


def ok(check: str, detail: str) -> Finding:
    """Nothing to do."""
    return Finding(check, Level.OK, detail)


def skipped(check: str, detail: str) -> Finding:
    """Not looked at, and why."""
    return Finding(check, Level.SKIPPED, detail)


def warning(check: str, detail: str, hint: str) -> Finding:
    """Works, but not as it should in production."""
    return Finding(check, Level.WARNING, detail, hint)


def failed(check: str, detail: str, hint: str | None, exit_code: ExitCode) -> Finding:
    """The worker would not start, or would break a promise."""
    return Finding(check, Level.FAILED, detail, hint, exit_code)


def worst_exit_code(findings: list[Finding]) -> ExitCode:
    """Exit code for the whole: that of the first failure, since later ones often follow from it; 0 without one."""
    return next((finding.exit_code for finding in findings if finding.level is Level.FAILED), ExitCode.OK)
