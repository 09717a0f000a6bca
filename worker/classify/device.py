"""Which device computes, and on how many cores."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from worker.errors import ModelError

if TYPE_CHECKING:
    import torch

log = structlog.get_logger(__name__)

LEAST_CAPABILITY = (8, 0)
"""Of a GPU (Ampere): older ones have no bfloat16, and torch's kernel for variable-length attention refuses them."""


def available_cores() -> int:
    """Cores that this process may use: its CPU affinity, and the container's quota where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no control group of version 2
    return cores


def set_threads() -> None:
    """One thread for each operation: cores are used by lanes (`worker.classify.lanes`). Changes the whole process.

    The tokenizer's own pool is turned off too: it would displace the lanes, and one thread tokenises faster than any CPU
    classifies.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    torch.set_num_threads(1)


def choose_device(asked: str) -> "torch.device":
    """`auto` takes CUDA when torch sees a GPU that can compute the model, and logs why when it sees another.

    Raises:
        ModelError: CUDA is asked for and there is none, or none that can.
    """
    import torch

    if asked == "cpu" or (asked == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ModelError(
            "no GPU that torch can use",
            hint="look at `nvidia-smi` and its driver's version; set TAGLINE_MODEL_DEVICE=cpu, or install a torch with CUDA",
        )
    unfit = _why_unfit()
    if unfit is None:
        return torch.device("cuda")
    if asked == "auto":
        log.warning("the GPU is left alone, the CPU computes", reason=unfit)
        return torch.device("cpu")
    raise ModelError(
        f"this GPU cannot compute the model: {unfit}", hint="set TAGLINE_MODEL_DEVICE=cpu, or use another GPU"
    )


def _why_unfit() -> str | None:
    """Why the GPU that torch takes cannot compute the model; None when nothing is known against it."""
    import torch

    if torch.version.hip is not None:
        return "torch is built for ROCm, whose variable-length attention refuses `num_splits`"
    capability = torch.cuda.get_device_capability()
    if capability < LEAST_CAPABILITY:
        here, least = (".".join(map(str, version)) for version in (capability, LEAST_CAPABILITY))
        return f"{torch.cuda.get_device_name()} has compute capability {here}, and bfloat16 needs {least} (Ampere)"
    return None
