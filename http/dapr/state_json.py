"""An instance as the JSON object of Dapr's answer to a GET.

The rule: equal states make equal bytes.

The shape is that of protobuf's JSON: fields are in the order of their numbers, and a field with the default value of
its type is left out.

`http/dapr/workflows.py` answers with it.

Source: contract 1.3; dapr `pkg/api/universal/workflow.go` (GetWorkflow).
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from ...api.properties import RUNTIME_STATUS, properties
from ...runtime.history.instance_state import InstanceState
from ...runtime.history.status import Status

# Dapr reads these two times from the history. A pending instance has no history, so Dapr shows Go's zero time.
NEVER = "0001-01-01T00:00:00Z"

encode = msgspec.json.Encoder().encode


def state_json(state: InstanceState) -> bytes:
    """Encode the state of an instance."""
    pending = state.status is Status.PENDING
    body: dict[str, Any] = {"instanceID": state.instance_id}
    if state.name:
        body["workflowName"] = state.name
    body["createdAt"] = NEVER if pending else timestamp(state.created_us)
    body["lastUpdatedAt"] = NEVER if pending else timestamp(state.updated_us)
    body["runtimeStatus"] = RUNTIME_STATUS[state.status]
    if found := properties(state):
        body["properties"] = found
    return encode(body)


def timestamp(unix_us: int) -> str:
    """Format a time as protobuf does: RFC 3339, UTC, with the fewest of 0, 3 or 6 fractional digits that are exact."""
    seconds, us = divmod(unix_us, 1_000_000)
    whole = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]  # without +00:00
    if us == 0:
        return f"{whole}Z"
    if us % 1000 == 0:
        return f"{whole}.{us // 1000:03}Z"
    return f"{whole}.{us:06}Z"
