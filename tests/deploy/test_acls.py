"""The list of ACLs names every topic there is, with what the worker does to it."""

import re
from pathlib import Path

from worker.contracts.topics import TOPICS

PAGE = (Path(__file__).resolve().parents[2] / "deploy/acls.md").read_text("utf-8")


def test_the_worker_may_read_the_inputs_and_write_everything_else_and_nothing_more() -> None:
    allowed: dict[str, set[str]] = {"Read": set(), "Write": set()}
    for operation, topics in re.findall(r"User:tagline-worker --operation (\w+) +((?:--topic \S+ ?)+)", PAGE):
        allowed[operation] |= set(re.findall(r"--topic (\S+)", topics))

    assert allowed["Read"] == {topic.name for topic in TOPICS if topic.role == "input"}
    assert allowed["Write"] == {topic.name for topic in TOPICS if topic.role != "input"}
