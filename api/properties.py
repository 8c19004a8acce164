"""Describes an instance in the form of Dapr's API: the parts that HTTP and gRPC share.

The rule: a property without a value is left out.

`http/dapr/state_json.py` and `rpc/services/dapr.py` use it.

Source: contract 1.3; dapr `pkg/api/universal/workflow.go` (GetWorkflow).
"""

from ..runtime.history.failure import FailureDetails
from ..runtime.history.instance_state import InstanceState
from ..runtime.history.status import Status

# Dapr's own API has no name for status 8, STALLED.
RUNTIME_STATUS = {status: "UNKNOWN" if status is Status.STALLED else status.name for status in Status}


def properties(state: InstanceState) -> dict[str, str]:
    """Return the properties of an instance, with payloads as stored. A pending instance has none yet."""
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
        found |= _failed_call(failure)
    if state.input is not None:
        found["dapr.workflow.input"] = state.input
    if state.output is not None and failure is None:
        # Up to Dapr 1.18 a failed workflow repeated its failure as output; 1.19 stopped, and so do we.
        found["dapr.workflow.output"] = state.output
    if state.stall is not None:
        # Not in Dapr: the status UNKNOWN does not say why the instance has stalled.
        found["perdure.workflow.stall"] = state.stall
    return found


def _failed_call(failure: FailureDetails) -> dict[str, str]:
    """Return the failed activity or child, and its error. Dapr has only the error of the workflow."""
    call, cause = failure.failed_call, failure.failure_of_call
    found: dict[str, str] = {}
    if call is not None:
        found[f"perdure.workflow.failure.{call.kind}"] = call.name
        found["perdure.workflow.failure.id"] = str(call.id)
        if call.attempt is not None:
            found["perdure.workflow.failure.attempt"] = str(call.attempt)
    if cause is not None:
        found["perdure.workflow.failure.error_type"] = cause.error_type
        found["perdure.workflow.failure.error_message"] = cause.message
        if cause.stack_trace:
            found["perdure.workflow.failure.stack_trace"] = cause.stack_trace
    if failure.cause is not None:
        found["perdure.workflow.failure.trace"] = failure.trace
    return found
