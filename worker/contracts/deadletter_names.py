"""How a dead letter's headers are called: our way, or as Kafka Connect or Spring would, for redrive tools built for those.

Connect and Spring have no names for some of what we say (``attempts``, and in Spring ``stage`` and ``worker_version``);
then it is not said. Spring writes numbers as big-endian bytes, so its headers are the only ones that are not ASCII.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

HeaderNames = Literal["tagline", "connect", "spring"]

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


class Naming(NamedTuple):
    """One way to write the block of headers. Its first field marks where the block begins."""

    headers: Mapping[str, str]
    """Field to header, in the order in which they are written."""
    widths: Mapping[str, int]
    """Fields that are signed big-endian integers, and their bytes; the others are text."""

    @property
    def first(self) -> str:
        """The header with which a block begins."""
        return next(iter(self.headers.values()))

    def write(self, fields: Mapping[str, str]) -> list[tuple[str, bytes]]:
        """The block; a number that is not known is left out."""
        return [
            (header, self._encoded(field, fields[field]))
            for field, header in self.headers.items()
            if fields[field] or field not in self.widths
        ]

    def read(self, block: Mapping[str, bytes | None]) -> dict[str, str]:
        """Every field of ours; what is missing is empty."""
        fields = dict.fromkeys(NAMINGS["tagline"].headers, "")
        for field, header in self.headers.items():
            raw = block.get(header) or b""
            known = len(raw) == self.widths.get(field, -1)
            fields[field] = (
                str(int.from_bytes(raw, "big", signed=True)) if known else raw.decode("ascii", "replace")
            )
        return fields

    def _encoded(self, field: str, text: str) -> bytes:
        if field in self.widths:
            return int(text).to_bytes(self.widths[field], "big", signed=True)
        return _UNPRINTABLE.sub("?", text).encode("ascii")


_OURS = (
    "reason",
    "stage",
    "topic",
    "partition",
    "offset",
    "timestamp",
    "group",
    "attempts",
    "worker_version",
    "error",
)

NAMINGS: Mapping[HeaderNames, Naming] = {
    "tagline": Naming({field: f"dlq.{field}" for field in _OURS}, {}),
    "connect": Naming(
        {
            "topic": "__connect.errors.topic",
            "partition": "__connect.errors.partition",
            "offset": "__connect.errors.offset",
            "group": "__connect.errors.connector.name",
            "stage": "__connect.errors.stage",
            "worker_version": "__connect.errors.class.name",
            "reason": "__connect.errors.exception.class.name",
            "error": "__connect.errors.exception.message",
        },
        {},
    ),
    "spring": Naming(
        {
            "topic": "kafka_dlt-original-topic",
            "partition": "kafka_dlt-original-partition",
            "offset": "kafka_dlt-original-offset",
            "timestamp": "kafka_dlt-original-timestamp",
            "group": "kafka_dlt-original-consumer-group",
            "reason": "kafka_dlt-exception-fqcn",
            "error": "kafka_dlt-exception-message",
        },
        {"partition": 4, "offset": 8, "timestamp": 8},
    ),
}
