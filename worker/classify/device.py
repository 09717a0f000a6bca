"""Which device computes, and on how many cores."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import ModelError

if TYPE_CHECKING:
    import torch


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
    """`auto` takes CUDA when torch sees a GPU. Raises ModelError when CUDA is asked for and there is none."""
    import torch

    if asked == "cpu" or (asked == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ModelError(
            "no GPU that torch can use", hint="set TAGLINE_MODEL_DEVICE=cpu, or install a torch with CUDA"
        )
    return torch.device("cuda")
