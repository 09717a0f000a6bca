"""Models out of checkpoint folders: with all their weights, or refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from training.readable import readable
from worker.errors import UsageError

Model = TypeVar("Model", bound=PreTrainedModel)


def read_pretrained(
    kind: type[Model], folder: Path, *, named: Path | str, drawn: tuple[str, ...] = (), **options: Any
) -> Model:
    """The model in ``folder``, in float32, if all its weights came from there but those that begin with one of ``drawn``: others
    would be random ones.

    ``named``: how the user calls the folder. ``options`` go to `from_pretrained`. Not for several threads at once: it quiets
    transformers for all of them.

    :raises UsageError: weights are missing or have another size, or a file is damaged.
    """
    with readable(named), _quiet():
        loaded: Any = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **options)
    model: Model
    model, told = loaded
    lost = {*told["missing_keys"], *(name for name, *_ in told["mismatched_keys"])}
    if random := sorted(name for name in lost if not name.startswith(drawn)):
        raise UsageError(
            f"{named} lacks {len(random)} weights that its config.json names, or has them in another size: {random[0]}",
            hint="take config.json and weights of one checkpoint",
        )
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from telling what it did not find: a new head is meant to be missing, and all else is refused."""
    told: Any = logging  # half of which has no types
    verbosity, bars = told.get_verbosity(), told.is_progress_bar_enabled()
    told.set_verbosity_error()
    told.disable_progress_bar()
    try:
        yield
    finally:
        told.set_verbosity(verbosity)
        if bars:
            told.enable_progress_bar()
