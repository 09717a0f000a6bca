"""What intake needs to know of the stages that follow it. The pipeline implements it."""

from typing import NamedTuple, Protocol

from worker.stream.microbatch import MicroBatch


class Finished(NamedTuple):
    """A micro-batch that left the last stage."""

    batch: MicroBatch
    published: bool
    """False: it was dropped as stale or rolled back, and nothing of it may be committed."""


class Stages(Protocol):
    """The stages after intake, as the consumer's thread sees them. Nothing here blocks but ``finished``."""

    @property
    def rewinds(self) -> int:
        """How many roll-backs have happened; when it grows, intake reads again from the committed offsets."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether ``submit`` would take a micro-batch now."""
        ...

    @property
    def hungry(self) -> bool:
        """Whether no micro-batch waits for the device: the next window should close, however small it is."""
        ...

    def submit(self, batch: MicroBatch) -> None:
        """Hand a micro-batch over. Only when ``has_room``."""
        ...

    def finished(self, timeout_s: float) -> list[Finished]:
        """What has left the last stage, waiting up to `timeout_s` for the first, or for room where there was none."""
        ...

    def check(self) -> None:
        """Raise the error that ended a stage, if one did."""
        ...
