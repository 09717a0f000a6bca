"""Texts on their way through the model: one slot for each distinct text, shared by every record that carries it.

A text that is already in flight is awaited, not classified again. Nobody has to wait for it in code: micro-batches pass
the classify stage in order, so by the time a later one leaves the classify stage, the slot of the earlier one is filled.
"""

from dataclasses import dataclass

from worker.cache.tiers import Remembered


@dataclass(slots=True, eq=False)
class Slot:
    """The answer for one text, filled in by the cache or by the device."""

    key: bytes
    result: Remembered | None = None
    error: str | None = None
    """Reason code when this one text could not be classified."""


class TextsInFlight:
    """The slots that the device has not filled yet.

    The prepare thread adds, the classify thread removes. Both touch only single dictionary items, which CPython makes
    atomic. A text that is removed between a look-up in the cache and one in here is classified twice, with the same bits.
    """

    def __init__(self) -> None:
        self._slots: dict[bytes, Slot] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def find(self, key: bytes) -> Slot | None:
        """The slot of a text that is on its way, if there is one."""
        return self._slots.get(key)

    def add(self, slot: Slot) -> None:
        """A text is on its way from now on."""
        self._slots[slot.key] = slot

    def remove(self, slot: Slot) -> None:
        """A text has its answer and, if it is a good one, is in the cache."""
        self._slots.pop(slot.key, None)
