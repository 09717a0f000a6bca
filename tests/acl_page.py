"""What deploy/acls.md grants, line by line, as bindings that a cluster takes."""

import argparse
import shlex
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

PAGE = Path(__file__).resolve().parents[1] / "deploy/acls.md"
_PARSER = argparse.ArgumentParser()
_PARSER.add_argument("--allow-principal")
_PARSER.add_argument("--operation", action="append")
_PARSER.add_argument("--topic", action="append", default=[])
_PARSER.add_argument("--group", action="append", default=[])
_PARSER.add_argument("--transactional-id", action="append", default=[])
_PARSER.add_argument("--cluster", action="store_true")
_PARSER.add_argument("--resource-pattern-type", choices=["literal", "prefixed"], default="literal")
_OPERATIONS = {operation.name.replace("_", ""): operation for operation in AclOperation}


def granted(user: str) -> list[AclBinding]:
    """Every grant of the page to a principal."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("--allow-principal")]
    return [one for line in lines for one in _bindings(line) if one.principal == f"User:{user}"]


def _bindings(line: str) -> list[AclBinding]:
    said = _PARSER.parse_args(shlex.split(line))
    resources = [
        *((ResourceType.TOPIC, name) for name in said.topic),
        *((ResourceType.GROUP, name) for name in said.group),
        *((ResourceType.TRANSACTIONAL_ID, name) for name in said.transactional_id),
        *(
            [(ResourceType.BROKER, "kafka-cluster")] if said.cluster else []
        ),  # the client's name for the cluster
    ]
    return [
        AclBinding(
            kind,
            name,
            ResourcePatternType[said.resource_pattern_type.upper()],
            said.allow_principal,
            "*",
            _OPERATIONS[operation.upper()],
            AclPermissionType.ALLOW,
        )
        for kind, name in resources
        for operation in said.operation
    ]
