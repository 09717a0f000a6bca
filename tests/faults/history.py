"""What was fed and what was seen, in the shape that the checks read. Nothing here asks the worker's code anything."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.faults.events import Event

Coordinates = tuple[str, int, int]
"""Topic, partition, offset."""

DEAD_LETTERS = ".dlq.v1"


@dataclass(frozen=True, slots=True)
class Fed:
    """An event and where the broker put it."""

    at: Coordinates
    event: Event


@dataclass(frozen=True, slots=True)
class Seen:
    """A record read from an output topic, byte for byte."""

    at: Coordinates
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def topic(self) -> str:
        """The topic it was read from."""
        return self.at[0]

    @property
    def dead(self) -> bool:
        """Whether it is a dead letter."""
        return self.topic.endswith(DEAD_LETTERS)

    def header(self, name: str) -> str | None:
        """The last header of that name, as text."""
        for found, value in reversed(self.headers):
            if found == name:
                return None if value is None else value.decode("utf-8", "replace")
        return None

    @property
    def id(self) -> str | None:
        """The CloudEvents id."""
        return self.header("ce_id")

    def source(self) -> Coordinates | None:
        """Which input it says it comes from: the dead letter's headers, or `source` in the value. None: it does not say."""
        if self.dead:
            parts = [self.header(f"dlq.{name}") for name in ("topic", "partition", "offset")]
        else:
            source = self._source_field()
            parts = [source.get(name) for name in ("topic", "partition", "offset")]
        try:
            return str(parts[0]), int(str(parts[1])), int(str(parts[2]))
        except ValueError:
            return None

    def _source_field(self) -> dict[str, Any]:
        try:
            body = json.loads(self.value or b"")
        except ValueError:
            return {}
        source = body.get("source") if isinstance(body, dict) else None
        return source if isinstance(source, dict) else {}


@dataclass(frozen=True, slots=True)
class History:
    """One run: everything fed, everything seen in partition order by a reader."""

    fed: dict[Coordinates, Fed]
    seen: tuple[Seen, ...]

    @classmethod
    def of(cls, fed: Iterable[Fed], seen: Iterable[Seen]) -> "History":
        """Sort what was seen into partition order."""
        return cls({one.at: one for one in fed}, tuple(sorted(seen, key=lambda one: one.at)))
