"""The one declaration of every topic: partitions, retention, compaction and the largest message.

``tagline topics create`` applies it and ``tagline topics check`` compares a cluster with it. Replication is not here: it
belongs to the cluster, not to the contract.

Why each topic is cleaned the way it is:

* ``listings.tagged.v1`` and ``signals.ads.v1`` hold the *latest state of a listing* under the listing's id, so they are
  compacted: a subscriber that starts a year later still finds every listing. They are not deleted by age, because a
  listing that nobody edited is still on sale.
* ``reviews.tagged.v1`` and ``signals.ranking.v1`` also carry the listing's id as their key, for order, but each event is
  one piece of evidence among many. Compaction would keep only a listing's last review, so they are deleted by age.
* ``alerts.care.v1`` is work to be done, and dead letters hold what users wrote: both end by age.
"""

from dataclasses import dataclass
from typing import Literal

LISTINGS_CREATED = "listings.created.v1"
REVIEWS_POSTED = "reviews.posted.v1"
LISTINGS_TAGGED = "listings.tagged.v1"
REVIEWS_TAGGED = "reviews.tagged.v1"
RANKING_SIGNALS = "signals.ranking.v1"
ADS_SIGNALS = "signals.ads.v1"
CARE_ALERTS = "alerts.care.v1"

INPUT_TOPICS = (LISTINGS_CREATED, REVIEWS_POSTED)
DEAD_LETTER_SUFFIX = ".dlq.v1"

DEFAULT_PARTITIONS = 6
"""Divisible by 2 and 3, so that two, three or six replicas share the work evenly. It can be raised but never lowered,
and raising it moves listings to other partitions, so choose it for the largest group you expect."""

_DAY_MS = 86_400_000
_INPUT_MAX_BYTES = 1_048_588
"""The broker's default: one record of 1 MiB and its overhead."""
_DEAD_LETTER_MAX_BYTES = 4_194_304
"""An input of the largest size, our headers, and room for originals that were small only while compressed. The
producer's own limit (``kafka.message_max_bytes``) stays below it."""

CleanupPolicy = Literal["delete", "compact"]


def dead_letter_topic(input_topic: str) -> str:
    """Where records of ``input_topic`` go that cannot be tagged."""
    return input_topic + DEAD_LETTER_SUFFIX


@dataclass(frozen=True, slots=True)
class TopicDeclaration:
    """One topic as it should be."""

    name: str
    role: Literal["input", "output", "dead_letter"]
    cleanup_policy: CleanupPolicy
    retention_ms: int
    """-1 keeps records for ever, which a compacted topic needs."""
    max_message_bytes: int = _INPUT_MAX_BYTES
    partitions: int = DEFAULT_PARTITIONS

    def config(self) -> dict[str, str]:
        """The topic's configuration in the broker's words."""
        config = {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
        }
        if self.cleanup_policy == "compact":
            # A reader that is at most a day behind still sees every change and every tombstone.
            config["min.compaction.lag.ms"] = str(_DAY_MS)
            config["delete.retention.ms"] = str(_DAY_MS)
        return config


def _input(name: str) -> TopicDeclaration:
    return TopicDeclaration(name, "input", "delete", 7 * _DAY_MS)


def _events(name: str, days: int) -> TopicDeclaration:
    return TopicDeclaration(name, "output", "delete", days * _DAY_MS)


def _latest_state(name: str) -> TopicDeclaration:
    return TopicDeclaration(name, "output", "compact", -1)


def _dead_letters(input_topic: str) -> TopicDeclaration:
    return TopicDeclaration(
        dead_letter_topic(input_topic), "dead_letter", "delete", 14 * _DAY_MS, _DEAD_LETTER_MAX_BYTES
    )


TOPICS: tuple[TopicDeclaration, ...] = (
    _input(LISTINGS_CREATED),
    _input(REVIEWS_POSTED),
    _latest_state(LISTINGS_TAGGED),
    _events(REVIEWS_TAGGED, 30),
    _events(RANKING_SIGNALS, 30),
    _latest_state(ADS_SIGNALS),
    _events(CARE_ALERTS, 30),
    _dead_letters(LISTINGS_CREATED),
    _dead_letters(REVIEWS_POSTED),
)
