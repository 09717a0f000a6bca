"""Write the lock files: exact versions and hashes of everything but torch. Run by ``make lock``.

torch, and what only its CUDA wheels bring, stay out: which wheel fits depends on the machine (docs/adr/0002). The files
are universal (one for all platforms and Python versions, by markers) and name no download host.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LOCKS = {
    "requirements.lock": ["--all-extras"],
    "requirements-worker.lock": ["--extra", "build", "--constraint", "requirements.lock"],
}
"""File to what it covers: the whole project for development, then the image's share in the same versions."""
TORCH_ONLY = re.compile(r"^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==", re.MULTILINE)


def compile_requirements(output: Path, options: list[str], left_out: set[str]) -> str:
    """Resolve pyproject.toml with uv and return the lock's text. Reaches the package index; takes seconds."""
    command = [
        sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal",
        "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate",
        "--output-file", str(output), *options,
    ]  # fmt: skip
    for name in sorted(left_out):
        command += ["--no-emit-package", name]
    subprocess.run(command, cwd=PROJECT, check=True)
    return output.read_text("utf-8")


def main() -> None:
    """Write every lock, starting from the versions it already has (delete a lock to take the newest)."""
    for name, options in LOCKS.items():
        lock = PROJECT / name
        with tempfile.TemporaryDirectory() as scratch:
            draft = Path(scratch) / name
            if lock.exists():
                draft.write_text(lock.read_text("utf-8"), "utf-8")
            everything = compile_requirements(draft, options, set())
            text = compile_requirements(draft, options, set(TORCH_ONLY.findall(everything)))
        if "://" in text or TORCH_ONLY.search(text):
            sys.exit(f"{name}: names a download host, or torch")
        lock.write_text(text, "utf-8")
        print(f"{name}: {len(re.findall(r'^[a-z]', text, re.MULTILINE))} packages")


if __name__ == "__main__":
    main()
