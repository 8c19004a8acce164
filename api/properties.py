"""An instance as Dapr's API describes it: the parts that HTTP and gRPC share.

Source: contract 1.3; dapr `pkg/api/universal/workflow.go` (GetWorkflow).
"""

from ..runtime.history.instance_state import InstanceState
from ..runtime.history.status import Status

# Dapr's own API has no name for status 8, STALLED.
RUNTIME_STATUS = {status: "UNKNOWN" if status is Status.STALLED else status.name for status in Status}


def properties(state: InstanceState) -> dict[str, str]:
    """Return the properties of an instance, payloads as stored. A pending instance has none yet."""
    if state.status is Status.PENDING:
        return {}
    found: dict[str, str] = {}
    if state.custom_status is not None:
        found["dapr.workflow.custom_status"] = state.custom_status
    if (failure := state.failure) is not None:
        found["dapr.workflow.failure.error_message"] = failure.message
        if failure.stack_trace:
            found["dapr.workflow.failure.stack_trace"] = failure.stack_trace
        found["dapr.workflow.failure.error_type"] = failure.error_type
    if state.input is not None:
        found["dapr.workflow.input"] = state.input
    if state.output is not None and failure is None:
        # Up to Dapr 1.18 a failed workflow repeated its failure as output; 1.19 stopped, and so do we.
        found["dapr.workflow.output"] = state.output
    if state.stall is not None:
        # Ours: the status UNKNOWN does not say why the instance has stalled.
        found["perdure.workflow.stall"] = state.stall
    return found
