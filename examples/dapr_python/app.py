"""An order, written for Dapr Workflow with Dapr's own SDK, and run against Perdure without a change.

The shop reserves the goods, waits for the approval of large orders, charges and ships. If a step fails, the earlier
steps are undone. This file has no code for Perdure: the SDK connects to a sidecar on the port in DAPR_GRPC_PORT, by
default 50001, and `perdure run` listens there.
"""
# mypy: ignore-errors
# The SDK is in its own environment, which mypy does not see.

import uuid
from datetime import timedelta

import dapr.ext.workflow as wf

LARGE = 1000  # such orders and larger ones need an approval

runtime = wf.WorkflowRuntime()

# The retry policy for temporary failures.
SOON = wf.RetryPolicy(first_retry_interval=timedelta(milliseconds=100), max_number_of_attempts=3)


@runtime.workflow
def order_processing(ctx: wf.DaprWorkflowContext, order: dict):
    """Decide the steps. It is run again from its first line after each event, so it has no effects of its own."""
    yield ctx.call_activity(reserve, input=order, retry_policy=SOON)
    if order["total"] >= LARGE:
        ctx.set_custom_status("waiting for approval")
        approval = ctx.wait_for_external_event("approval")
        deadline = ctx.create_timer(timedelta(days=3))  # it survives a restart of the daemon or of this app
        winner = yield wf.when_any([approval, deadline])
        if winner is deadline or not approval.get_result()["approved"]:
            yield ctx.call_activity(release, input=order)
            return "refused"
        ctx.set_custom_status("approved")
    yield ctx.call_activity(charge, input=order, retry_policy=SOON)
    # Independent of each other, so both run at the same time.
    yield wf.when_all([ctx.call_activity(ship, input=order), ctx.call_activity(send_receipt, input=order)])
    return "shipped"


@runtime.activity
def reserve(ctx: wf.WorkflowActivityContext, order: dict) -> None:
    """Activities are ordinary code. After a crash an activity may run again, with the same task execution id."""
    print(f"reserve {order['quantity']} {order['name']}")


@runtime.activity
def release(ctx: wf.WorkflowActivityContext, order: dict) -> None:
    print(f"release {order['quantity']} {order['name']}")


@runtime.activity
def charge(ctx: wf.WorkflowActivityContext, order: dict) -> None:
    print(f"charge {order['total']}")


@runtime.activity
def ship(ctx: wf.WorkflowActivityContext, order: dict) -> None:
    print(f"ship {order['quantity']} {order['name']}")


@runtime.activity
def send_receipt(ctx: wf.WorkflowActivityContext, order: dict) -> None:
    print(f"receipt for {order['total']}")


def place(client: wf.DaprWorkflowClient, order: dict, *, approved: bool | None = None) -> None:
    """Place an order, approve or reject it if it is large, and wait for its result."""
    order_id = client.schedule_new_workflow(order_processing, input=order, instance_id=f"order-{uuid.uuid4().hex[:8]}")
    if approved is not None:
        # It may arrive before the workflow waits for it: events are kept.
        client.raise_workflow_event(order_id, "approval", data={"approved": approved})
    state = client.wait_for_workflow_completion(order_id, timeout_in_seconds=30)
    print(f"{order_id}: {state.runtime_status.name} {state.serialized_output}")


def main() -> None:
    runtime.start()  # connects, and registers the workflows and activities above
    client = wf.DaprWorkflowClient()
    try:
        place(client, {"name": "paperclips", "quantity": 4, "total": 99.95})
        place(client, {"name": "desks", "quantity": 2, "total": 2400}, approved=True)
        place(client, {"name": "yachts", "quantity": 1, "total": 1_000_000}, approved=False)
    finally:
        runtime.shutdown()


if __name__ == "__main__":
    main()
