"""An order, written for Dapr Workflow with Dapr's own SDK, and run against Perdure without a change.

The shop reserves the goods, has a person look at large orders, charges and
ships. Whatever fails is made undone. Nothing in this file knows Perdure: the
SDK looks for a sidecar where DAPR_GRPC_PORT says, on port 50001 if it says
nothing, and `perdure run` is there.
"""
# mypy: ignore-errors
# The SDK lives in an environment of its own, where mypy does not look.

import uuid
from datetime import timedelta

import dapr.ext.workflow as wf

LARGE = 1000  # from here on a person decides

runtime = wf.WorkflowRuntime()

# What fails now and then is tried again.
SOON = wf.RetryPolicy(first_retry_interval=timedelta(milliseconds=100), max_number_of_attempts=3)


@runtime.workflow
def order_processing(ctx: wf.DaprWorkflowContext, order: dict):
    """Decide. This runs again from its first line whenever something has happened, so it does nothing itself."""
    yield ctx.call_activity(reserve, input=order, retry_policy=SOON)
    if order["total"] >= LARGE:
        ctx.set_custom_status("waiting for approval")
        approval = ctx.wait_for_external_event("approval")
        deadline = ctx.create_timer(timedelta(days=3))  # a restart of the daemon or of this app does not matter
        winner = yield wf.when_any([approval, deadline])
        if winner is deadline or not approval.get_result()["approved"]:
            yield ctx.call_activity(release, input=order)
            return "refused"
        ctx.set_custom_status("approved")
    yield ctx.call_activity(charge, input=order, retry_policy=SOON)
    # Independent of each other, so both at once.
    yield wf.when_all([ctx.call_activity(ship, input=order), ctx.call_activity(send_receipt, input=order)])
    return "shipped"


@runtime.activity
def reserve(ctx: wf.WorkflowActivityContext, order: dict) -> None:
    """Do. Activities are ordinary code; after a crash one may run again, under the same task execution id."""
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
    """Place an order, decide on it if it is large, and wait for what becomes of it."""
    order_id = client.schedule_new_workflow(order_processing, input=order, instance_id=f"order-{uuid.uuid4().hex[:8]}")
    if approved is not None:
        # It may come before the workflow waits for it: events are kept.
        client.raise_workflow_event(order_id, "approval", data={"approved": approved})
    state = client.wait_for_workflow_completion(order_id, timeout_in_seconds=30)
    print(f"{order_id}: {state.runtime_status.name} {state.serialized_output}")


def main() -> None:
    runtime.start()  # connects, and brings the workflows and activities above
    client = wf.DaprWorkflowClient()
    try:
        place(client, {"name": "paperclips", "quantity": 4, "total": 99.95})
        place(client, {"name": "desks", "quantity": 2, "total": 2400}, approved=True)
        place(client, {"name": "yachts", "quantity": 1, "total": 1_000_000}, approved=False)
    finally:
        runtime.shutdown()


if __name__ == "__main__":
    main()
