"""Run with an SDK's Python: prints the messages that the SDK puts on the wire, as JSON."""

import importlib
import json
import sys
from typing import Any

MODULES = (
    *(f"dapr.ext.workflow._durabletask.internal.{name}_pb2" for name in (
        "orchestration", "history_events", "orchestrator_actions", "orchestrator_service", "attestation",
    )),
    "durabletask.internal.orchestrator_service_pb2",
    "dapr.proto.runtime.v1.workflow_pb2",
    "dapr.proto.runtime.v1.metadata_pb2",
)  # fmt: skip
MESSAGE, ENUM = 11, 14


def describe(message: Any, found: dict[str, Any]) -> None:
    found[message.full_name] = [
        {
            "number": field.number,
            "name": field.name,
            "type": field.type,
            "of": (field.message_type or field.enum_type).full_name if field.type in (MESSAGE, ENUM) else None,
            "values": [value.number for value in field.enum_type.values] if field.type == ENUM else [],
            "repeated": field.is_repeated,
            "presence": field.has_presence,
        }
        for field in message.fields
    ]
    for nested in message.nested_types:
        describe(nested, found)


found: dict[str, Any] = {}
for name in MODULES:
    try:
        module = importlib.import_module(name)
    except ImportError:
        continue
    for message in module.DESCRIPTOR.message_types_by_name.values():
        describe(message, found)
json.dump(found, sys.stdout)
