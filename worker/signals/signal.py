"""What a subscriber's function returns: the message's key and its own fields."""

from collections.abc import Callable
from typing import NamedTuple

from worker.contracts.envelope import Inbound
from worker.contracts.sentiment import Scores


class Signal(NamedTuple):
    """One message to a subscriber, without what every message carries (model, source, times)."""

    key: bytes
    fields: dict[str, object]


Subscriber = Callable[[Inbound, Scores, str], Signal | None]
"""``(inbound, scores, normalised text) -> signal``, or None when the subscriber does not care. Pure, and called for every
record, so cheap: the common case is decided before any expression runs over the text."""
