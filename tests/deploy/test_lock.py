"""The lock files cover what pyproject.toml asks for, with hashes, and leave out torch and download hosts."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
PINNED = re.compile(
    r"^([a-z0-9-]+)==([^ ]+)(?: ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]


def locked(name: str) -> dict[str, set[str]]:
    """Package to its versions (more than one where they differ by Python version)."""
    versions: dict[str, set[str]] = {}
    for package, version, _ in PINNED.findall((PROJECT / name).read_text("utf-8")):
        versions.setdefault(package, set()).add(version)
    return versions


def asked_for(*extras: str) -> list[Requirement]:
    optional = DECLARED["optional-dependencies"]
    lines = DECLARED["dependencies"] + [line for extra in extras for line in optional[extra]]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", tuple(DECLARED["optional-dependencies"])),
        ("requirements-worker.lock", ("build",)),
    ],
)
def test_every_requirement_but_torch_is_pinned_within_its_range(lock: str, extras: tuple[str, ...]) -> None:
    pinned = locked(lock)
    for requirement in asked_for(*extras):
        name = canonicalize_name(requirement.name)
        if name == "torch":
            continue
        assert name in pinned, f"{name}: run `make lock`"
        for version in pinned[name]:
            assert requirement.specifier.contains(version), f"{name} {version}: run `make lock`"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-worker.lock"])
def test_the_lock_has_only_hashed_pins_and_names_no_host(lock: str) -> None:
    text = (PROJECT / lock).read_text("utf-8")

    assert PINNED.sub("", text) == "", "something that is not a pinned, hashed package"
    assert "://" not in text


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-worker.lock"])
def test_torch_and_what_only_cuda_brings_are_left_to_the_machine(lock: str) -> None:
    assert [name for name in locked(lock) if re.match(r"torch$|triton$|nvidia-|cuda-", name)] == []


def test_the_image_gets_the_versions_that_were_tested() -> None:
    everything = locked("requirements.lock")
    for name, versions in locked("requirements-worker.lock").items():
        assert versions == everything[name]


def test_the_image_carries_no_development_or_training_tools() -> None:
    assert {"pytest", "mypy", "ruff", "peft", "matplotlib", "uv"}.isdisjoint(
        locked("requirements-worker.lock")
    )
