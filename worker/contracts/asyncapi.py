"""The AsyncAPI 3 document: every topic with its messages, headers and settings, for those who generate clients or docs."""

from typing import Any

from worker.contracts.catalogue import CATALOGUE, MessageType
from worker.contracts.reasons import Reason, Stage
from worker.contracts.topics import INPUT_TOPICS, TOPICS, TopicDeclaration

Document = dict[str, Any]

_DEAD_LETTER = "dead_letter"


def asyncapi_document() -> Document:
    """The whole document. Its version is the contracts' major version, not the program's: it changes when they do."""
    messages: Document = {type_.name: _message(type_) for type_ in CATALOGUE}
    messages[_DEAD_LETTER] = _dead_letter()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tagline",
            "version": "1",
            "description": "Sentiment of product titles and reviews. CloudEvents 1.0, Kafka binding, binary mode.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {_operation_name(topic): _operation(topic) for topic in TOPICS},
        "components": {
            "messages": messages,
            "messageTraits": {"cloudEvent": {"headers": _cloud_event_headers()}},
        },
    }


def _names(topic: TopicDeclaration) -> list[str]:
    return [type_.name for type_ in CATALOGUE if type_.topic == topic.name] or [_DEAD_LETTER]


def _channel(topic: TopicDeclaration) -> Document:
    config = topic.config()
    return {
        "address": topic.name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(topic)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [config["cleanup.policy"]],
                    "retention.ms": topic.retention_ms,
                    "max.message.bytes": topic.max_message_bytes,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation_name(topic: TopicDeclaration) -> str:
    return f"{'receive' if topic.name in INPUT_TOPICS else 'send'}_{topic.name.replace('.', '_')}"


def _operation(topic: TopicDeclaration) -> Document:
    channel = f"#/channels/{topic.name}"
    return {
        "action": "receive" if topic.name in INPUT_TOPICS else "send",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _names(topic)],
    }


def _message(type_: MessageType) -> Document:
    document: Document = {
        "name": type_.versioned,
        "title": type_.name,
        "summary": type_.summary,
        "contentType": "application/json",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./schemas/{type_.versioned}.json"},
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"The {type_.key_field}."},
                "bindingVersion": "0.5.0",
            }
        },
    }
    if type_.direction == "out":
        document["traits"] = [{"$ref": "#/components/messageTraits/cloudEvent"}]
    return document


def _cloud_event_headers() -> Document:
    described = {
        "ce_specversion": "Always 1.0.",
        "ce_id": "type.vMajor:topic:partition:offset:digest. The same for every replay; drop duplicates by it.",
        "ce_source": "Who speaks; one a deployment.",
        "ce_type": "The message's type, without its version.",
        "ce_time": "When it was published. The only part in which duplicates differ.",
        "ce_dataschema": "urn:tagline:schema:type:major.",
        "ce_partitionkey": "The record's key.",
        "ce_causationid": "The id of the input: its ce_id, or topic:partition:offset.",
        "ce_sequence": "Offset of the input, 20 digits. On the compacted topics the higher of two events with one key is the newer.",
        "content-type": "Always application/json.",
    }
    optional = {
        "traceparent": "W3C trace context of the input, carried on.",
        "tracestate": "W3C trace state of the input, carried on.",
    }
    properties = {
        name: {"type": "string", "description": text} for name, text in (described | optional).items()
    }
    return {"type": "object", "required": list(described), "properties": properties}


def _dead_letter() -> Document:
    described = {
        "dlq.reason": "A stable code; new ones may appear.",
        "dlq.stage": "The part of the worker that gave the record up.",
        "dlq.topic": "Topic of the original.",
        "dlq.partition": "Its partition.",
        "dlq.offset": "Its offset.",
        "dlq.timestamp": "Its Kafka timestamp, Unix milliseconds; empty when unknown.",
        "dlq.group": "Consumer group of the worker.",
        "dlq.attempts": "How often it was tried.",
        "dlq.worker_version": "Version of the worker.",
        "dlq.error": "What was wrong, short, without anything a user wrote.",
    }
    properties: Document = {name: {"type": "string", "description": text} for name, text in described.items()}
    properties["dlq.reason"]["examples"] = [reason.value for reason in Reason]
    properties["dlq.stage"]["examples"] = [stage.value for stage in Stage]
    properties["dlq.redrives"] = {
        "type": "string",
        "description": "Among the original's: how often it was redriven.",
    }
    properties["dlq.trimmed"] = {
        "type": "string",
        "description": "Parts of the original left out for their size.",
    }
    return {
        "name": _DEAD_LETTER,
        "title": "Dead letter",
        "summary": "The original key, value and headers byte for byte, and why it could not be tagged.",
        "headers": {"type": "object", "required": list(described), "properties": properties},
        "payload": {"description": "Whatever the original was."},
    }
