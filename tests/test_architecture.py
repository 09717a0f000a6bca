"""Dependencies point one way (docs/architecture.md): who may import whom inside the worker, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
FOUNDATION = {"contracts", "settings", "telemetry", "errors", "characters", "traditional"}
MAY_IMPORT = {
    "errors": set(),
    "characters": set(),
    "traditional": set(),
    "settings": {"errors", "settings_sources"},
    "settings_sources": {"errors"},
    "telemetry": {"settings", "errors", "characters"},
    "contracts": {"errors", "characters"},
    "signals": {"contracts", "characters", "traditional"},
    "classify": FOUNDATION - {"contracts"},
    "cache": FOUNDATION,
    "stream": FOUNDATION,
    "pipeline": FOUNDATION | {"stream", "classify", "cache", "signals"},
}
"""Room to the rooms that it may import besides itself. Rooms not named here (commands, demo, doctor...) stand above."""


def rooms() -> dict[str, list[Path]]:
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


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    files = rooms()[room]
    used = {
        (path.name, name.split(".")[1])
        for path in files
        for name in imported(path)
        if name.startswith("worker.") and name != "worker.__version__"
    }
    assert {(file, other) for file, other in used if other not in MAY_IMPORT[room] | {room}} == set()


def test_the_worker_never_imports_training() -> None:
    for files in rooms().values():
        for path in files:
            assert not any(name.split(".")[0] == "training" for name in imported(path)), path


@pytest.mark.parametrize(
    ("room", "libraries"),
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
def test_a_room_does_not_know_libraries_of_another(room: str, libraries: set[str]) -> None:
    for path in rooms()[room]:
        assert {name.split(".")[0] for name in imported(path)}.isdisjoint(libraries), path
