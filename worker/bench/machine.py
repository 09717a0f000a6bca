"""Where a result was measured: the processor, its instruction sets, memory, load, and the versions of what ran."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_INSTRUCTION_SETS = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16",
    "amx_bf16", "amx_int8", "asimd", "asimddp", "sve", "bf16", "i8mm",
)  # fmt: skip
"""Those that matrix libraries choose their kernels by."""
_PACKAGES = ("torch", "transformers", "tokenizers", "confluent-kafka", "redis", "pydantic", "orjson")


def usable_cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def describe_machine() -> dict[str, object]:
    """The machine as JSON. What it does not tell is None."""
    model, flags = parse_cpuinfo(_read("/proc/cpuinfo"))
    return {
        "cpu": model or platform.processor() or platform.machine(),
        "instruction_sets": [name for name in _INSTRUCTION_SETS if name in flags],
        "cores": usable_cores(),
        "memory_gb": _memory_gb(),
        "system": platform.platform(terse=True),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def describe_versions() -> dict[str, str | None]:
    """Versions of Python, of this worker, and of the libraries that decide its speed."""
    import confluent_kafka

    from worker import __version__

    found: dict[str, str | None] = {"tagline": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    found["librdkafka"] = confluent_kafka.libversion()[0]
    return found


def parse_cpuinfo(text: str) -> tuple[str | None, frozenset[str]]:
    """Model name and flags from Linux's /proc/cpuinfo. Pure."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    flags = fields.get("flags") or fields.get("features") or ""
    return fields.get("model name"), frozenset(flags.split())


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
