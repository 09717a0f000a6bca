"""The declaration of the topics."""

from worker.contracts.catalogue import CATALOGUE
from worker.contracts.topics import INPUT_TOPICS, TOPICS, dead_letter_topic
from worker.settings import Settings

BY_NAME = {topic.name: topic for topic in TOPICS}


def test_every_topic_is_declared_once():
    assert sorted(BY_NAME) == sorted(
        [
            "listings.created.v1",
            "reviews.posted.v1",
            "listings.tagged.v1",
            "reviews.tagged.v1",
            "signals.ranking.v1",
            "signals.ads.v1",
            "alerts.care.v1",
            "listings.created.v1.dlq.v1",
            "reviews.posted.v1.dlq.v1",
        ]
    )
    assert len(TOPICS) == len(BY_NAME)
    assert {type_.topic for type_ in CATALOGUE} == {t.name for t in TOPICS if t.role != "dead_letter"}


def test_a_dead_letter_fits_where_its_original_fitted():
    produced = Settings().kafka.message_max_bytes
    for name in INPUT_TOPICS:
        letters = BY_NAME[dead_letter_topic(name)]
        assert letters.max_message_bytes > BY_NAME[name].max_message_bytes + 65_536
        assert letters.max_message_bytes > produced > BY_NAME[name].max_message_bytes + 65_536


def test_only_topics_with_one_event_a_key_are_compacted():
    compacted = {topic.name for topic in TOPICS if topic.cleanup_policy == "compact"}
    assert compacted == {"listings.tagged.v1", "signals.ads.v1"}
    assert all(BY_NAME[name].config()["retention.ms"] == "-1" for name in compacted)


def test_the_configuration_is_in_the_brokers_words():
    assert BY_NAME["reviews.posted.v1.dlq.v1"].config() == {
        "cleanup.policy": "delete",
        "retention.ms": "1209600000",
        "max.message.bytes": "4194304",
    }
