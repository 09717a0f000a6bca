"""Which device computes, and with how many threads."""

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


def set_threads(threads: int) -> int:
    """Give torch `threads` threads, the available cores when 0; return the number. Call before the first tensor.

    The tokenizer's own pool is turned off: it would displace the threads of the forward, and one thread tokenises faster
    than any CPU classifies.
    """
    threads = threads or available_cores()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    import torch

    torch.set_num_threads(threads)
    return threads


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
