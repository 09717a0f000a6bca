"""Which offsets of one partition were dealt with, when not all of them were dealt with in order. Pure.

A redrive that picks some dead letters and leaves others cannot be remembered by a committed offset alone. So the offset
is that of the first one left, and what was dealt with beyond it travels as ranges in the commit's metadata, which Kafka
keeps beside the offset.
"""

from bisect import bisect_left, bisect_right

METADATA_MAX_BYTES = 4_096
"""The broker's default `offset.metadata.max.bytes`."""
_PREFIX = "done:"


class Ledger:
    """Offsets dealt with: everything below ``base`` and the ranges above it. Not thread-safe."""

    def __init__(self, base: int = 0, metadata: str = "") -> None:
        """Start from a committed offset and its metadata. Metadata of another tool counts as none."""
        self._starts = [0]
        self._stops = [base]
        if metadata.startswith(_PREFIX):
            for part in filter(None, metadata.removeprefix(_PREFIX).split(",")):
                start, _, stop = part.partition("-")
                self.add(base + int(start), base + int(stop or start) + 1)

    @property
    def base(self) -> int:
        """The first offset that was not dealt with."""
        return self._stops[0]

    def __contains__(self, offset: int) -> bool:
        return offset < self._stops[bisect_right(self._starts, offset) - 1]

    def add(self, start: int, stop: int) -> None:
        """Offsets from ``start`` up to but not including ``stop`` were dealt with."""
        if start >= stop:
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def metadata(self) -> str:
        """The ranges above ``base``, relative to it; empty when there are none. May exceed `METADATA_MAX_BYTES`."""
        ranges = zip(self._starts[1:], self._stops[1:], strict=True)
        parts = [
            f"{start - self.base}" if stop == start + 1 else f"{start - self.base}-{stop - 1 - self.base}"
            for start, stop in ranges
        ]
        return _PREFIX + ",".join(parts) if parts else ""
