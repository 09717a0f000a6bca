"""The id of an output: a function of where its input lies, which model read it, and which schema it is written in.

A replay therefore produces the same id and subscribers can drop duplicates, while a new model or a new major version
produces new ones. It is readable on purpose: whoever sees an event can find its input. Ids are unique within one
``ce_source``, as CloudEvents asks; give each cluster its own source, and never delete and recreate an input topic, because
its offsets start again.
"""


def output_id(type_version: str, topic: str, partition: int, offset: int, model_digest: str) -> str:
    """For instance ``review.tagged.v1:reviews.posted.v1:3:12045:9f2c81d07ab4``."""
    return f"{type_version}:{topic}:{partition}:{offset}:{model_digest}"


def input_id(topic: str, partition: int, offset: int) -> str:
    """What stands for an input whose producer gave it no CloudEvents id."""
    return f"{topic}:{partition}:{offset}"
