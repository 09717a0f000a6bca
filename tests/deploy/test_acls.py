"""The list of ACLs names every topic there is, with what the worker does to it."""

from confluent_kafka.admin import AclOperation, ResourceType

from tests.acl_page import granted
from worker.contracts.topics import TOPICS


def test_the_worker_may_read_the_inputs_and_write_everything_else_and_nothing_more() -> None:
    on_topics = [grant for grant in granted("tagline-worker") if grant.restype == ResourceType.TOPIC]
    allowed = {(grant.operation, grant.name) for grant in on_topics}

    assert allowed == {
        (AclOperation.READ if topic.role == "input" else AclOperation.WRITE, topic.name) for topic in TOPICS
    }
