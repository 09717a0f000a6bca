"""What can be said of the image without building it, and the wheel that goes into it."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILE = (PROJECT / "deploy/Dockerfile").read_text("utf-8")
FINAL_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]


def test_the_image_has_two_stages_and_the_last_has_no_root_and_installs_nothing() -> None:
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 2
    assert "USER 10001:10001" in FINAL_STAGE
    assert "pip" not in FINAL_STAGE
    assert 'ENTRYPOINT ["tagline"]' in FINAL_STAGE


def test_packages_come_from_the_lock_with_their_hashes() -> None:
    assert "pip install --require-hashes --no-deps -r requirements-worker.lock" in DOCKERFILE


def test_the_torch_range_is_that_of_the_project() -> None:
    (torch,) = re.findall(r'^ARG TORCH="(.*)"$', DOCKERFILE, re.MULTILINE)
    assert f'"{torch}"' in (PROJECT / "pyproject.toml").read_text("utf-8")


def test_what_is_copied_exists_and_is_let_through_to_the_builder() -> None:
    ignore = (PROJECT / "deploy/Dockerfile.dockerignore").read_text("utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (PROJECT / source).exists(), source
            assert f"!{source.removeprefix('./')}" in ignore, source


def names_in(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", (PROJECT / lock).read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "classify",
        "tap",
        "topics create",
        "local feed",
        "dlq list",
        "doctor",
        "config show",
        "model info",
    ],
)
def test_the_image_s_commands_start_without_what_its_lock_leaves_out(command: str) -> None:
    left_out = names_in("requirements.lock") - names_in("requirements-worker.lock")
    modules = sorted(
        module
        for module, owners in packages_distributions().items()
        if owners and all(canonicalize_name(owner) in left_out for owner in owners)
    )
    assert {"psutil", "jgo", "pytest", "sklearn"} <= set(modules)
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({modules}))\n"
        f"from worker.cli import main; sys.exit(main({[*command.split(), '--help']}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names inside the wheel that is built from a clean copy of what the image gets."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    shutil.copytree(PROJECT / "worker", source / "worker", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(output),
            str(source),
        ],
        check=True,
    )
    (wheel,) = output.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_carries_every_file_of_the_worker(wheel_names: set[str]) -> None:
    expected = {
        path.relative_to(PROJECT).as_posix()
        for path in (PROJECT / "worker").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected - wheel_names == set()


def test_every_file_of_the_training_code_is_among_those_that_a_wheel_carries() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["training"]
    carried = {path for pattern in patterns for path in (PROJECT / "training").glob(pattern)}
    data = {path for path in (PROJECT / "training").rglob("*.*") if path.suffix not in (".py", ".pyc")}
    assert data - carried == set()


def test_the_wheel_carries_the_shipped_model(wheel_names: set[str]) -> None:
    for name in ("bundle.json", "config.json", "model.safetensors", "tokenizer.json"):
        assert f"worker/bundles/default/{name}" in wheel_names
