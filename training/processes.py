"""Several processes that train together under ``torchrun``: whose batches are whose, and one word where clocks differ.

All of them call the same functions here in the same order, or they wait for each other for ever.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from training.batches import plan
from worker.errors import UsageError

T = TypeVar("T")


def rank() -> int:
    """The number of this process among those that train together, from 0."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """How many processes train together: what torchrun says, else 1."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_alone(command: str) -> None:
    """Raise where torchrun started several processes of a command that does not divide its work among them.

    :raises UsageError: with the one that does.
    """
    if world() > 1:
        raise UsageError(
            f"{world()} processes would do the same in one folder: `{command}` does not divide its work",
            hint="run it without torchrun; of the commands that train, `finetune`, `distil` and `pretrain` divide theirs",
        )


def join() -> None:
    """Meet the others. Blocks until all have come."""
    if world() > 1 and not dist.is_initialized():
        dist.init_process_group("gloo")


def share_of_epoch(lengths: Sequence[int], *, tokens: int, seed: int, epoch: int) -> list[list[int]]:
    """The batches of one epoch that are ours, as lists of indices; every process has as many, at least one.

    :raises UsageError: there are fewer batches than processes.
    """
    batches = plan(lengths, tokens=tokens, seed=seed, epoch=epoch)
    if len(batches) < world():
        raise UsageError(
            f"{len(batches)} batches cannot feed {world()} processes",
            hint="start fewer processes, or make batches smaller with --batch-tokens",
        )
    return batches[: len(batches) - len(batches) % world()][rank() :: world()]


def agreed(value: T) -> T:
    """Rank 0's value, on every rank. Blocks for the slowest."""
    if world() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gathered(value: T) -> list[T]:
    """The values of all ranks in their order, on every rank. Blocks for the slowest."""
    if world() == 1:
        return [value]
    values: list[Any] = [None] * world()
    dist.all_gather_object(values, value)
    return values


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace gradients by their mean over the processes. One that no process has stays absent, so that it is not decayed."""
    if world() == 1:
        return
    chosen = list(parameters)
    present = torch.tensor([parameter.grad is not None for parameter in chosen], dtype=torch.uint8)
    dist.all_reduce(present, dist.ReduceOp.MAX)
    for parameter, somewhere in zip(chosen, present.tolist(), strict=True):
        if somewhere:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= world()
