"""Dependencies point one way (docs/architecture.md): who may import whom inside the worker, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
FOUNDATION = {"contracts", "settings", "telemetry", "errors", "files", "characters", "traditional"}
MAY_IMPORT = {
    "errors": set(),
    "files": set(),
    "characters": set(),
    "traditional": set(),
    "settings": {"errors", "settings_sources"},
    "settings_sources": {"errors"},
    "telemetry": {"settings", "errors", "characters"},
    "contracts": {"errors", "files", "characters"},
    "signals": {"contracts", "characters", "traditional"},
    "classify": FOUNDATION - {"contracts"},
    "cache": FOUNDATION,
    "stream": FOUNDATION,
    "pipeline": FOUNDATION | {"stream", "classify", "cache", "signals"},
}
"""Package to the packages that it may import besides itself. Those not named here (commands, demo, doctor...) stand above."""


def packages() -> dict[str, list[Path]]:
    """Top-level module or package of the worker to its files."""
    found: dict[str, list[Path]] = {}
    for path in (PROJECT / "worker").rglob("*.py"):
        found.setdefault(path.relative_to(PROJECT / "worker").parts[0].removesuffix(".py"), []).append(path)
    return found


def imported(path: Path) -> Iterator[str]:
    """Every absolute module name that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    files = packages()[package]
    used = {
        (path.name, name.split(".")[1])
        for path in files
        for name in imported(path)
        if name.startswith("worker.") and name != "worker.__version__"
    }
    assert {(file, other) for file, other in used if other not in MAY_IMPORT[package] | {package}} == set()


def test_the_worker_never_imports_training() -> None:
    for files in packages().values():
        for path in files:
            assert not any(name.split(".")[0] == "training" for name in imported(path)), path


@pytest.mark.parametrize(
    ("package", "libraries"),
    [
        ("classify", {"confluent_kafka", "redis"}),
        ("stream", {"torch", "transformers", "redis"}),
        ("cache", {"torch", "transformers", "confluent_kafka"}),
        (
            "signals",
            {"torch", "transformers", "confluent_kafka", "redis", "time", "datetime", "random", "os"},
        ),
        ("contracts", {"torch", "transformers", "confluent_kafka", "redis"}),
    ],
)
def test_a_package_does_not_know_libraries_of_another(package: str, libraries: set[str]) -> None:
    for path in packages()[package]:
        assert {name.split(".")[0] for name in imported(path)}.isdisjoint(libraries), path
