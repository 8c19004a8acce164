"""Processes an order, with an approval by a person.

    perdure run examples/order_processing.py

    curl -X POST 'http://127.0.0.1:3500/v1.0/workflows/dapr/OrderProcessingWorkflow/start?instanceID=order-1' \
         -d '{"Name": "Paperclips", "TotalCost": 99.95, "Quantity": 4}'
    curl http://127.0.0.1:3500/v1.0/workflows/dapr/order-1
    curl -X POST http://127.0.0.1:3500/v1.0/workflows/dapr/order-1/raiseEvent/approval -d '{"approved": true}'

Kill the daemon at any moment and start it again: the order goes on where it was. `make demo` shows that.
"""

import logging
import os
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import anyio

import perdure

app = perdure.App("orders")
logger = logging.getLogger("orders")

PATIENCE = timedelta(days=3)  # how long an order waits for its approval
RETRY = perdure.RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    max_number_of_attempts=5,
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(minutes=1),
)


@dataclass(frozen=True)
class Order:
    """An order in the form of the shop's front end, with its names."""

    Name: str
    TotalCost: float
    Quantity: int


# The workflow only decides. It may be run again from its first line at any time, with the recorded answers, so it uses
# no clock, no network and no file.


@app.workflow(name="OrderProcessingWorkflow")
async def process_order(ctx: perdure.WorkflowContext, order: Order) -> dict[str, Any]:
    ctx.set_custom_status("reserving")
    try:
        reservation = await ctx.call_activity(reserve_inventory, input=order, retry_policy=RETRY)
    except perdure.TaskFailedError as error:
        return refused(ctx, error.details.message)

    ctx.set_custom_status("waiting for approval")
    try:
        decision = await ctx.wait_for_external_event("approval", timeout=PATIENCE)
    except TimeoutError:
        decision = {"approved": False, "reason": f"nobody approved it within {PATIENCE.days} days"}
    if not decision["approved"]:
        await ctx.call_activity(release_inventory, input=reservation, retry_policy=RETRY)
        return refused(ctx, decision.get("reason", "not approved"))

    ctx.set_custom_status("charging")
    try:
        payment = await ctx.call_activity(charge_customer, input=order, retry_policy=RETRY)
    except perdure.TaskFailedError as error:
        # The reservation is undone, and this step is as durable as the others.
        await ctx.call_activity(release_inventory, input=reservation, retry_policy=RETRY)
        return refused(ctx, error.details.message)

    ctx.set_custom_status("shipping")
    parcel = await ctx.call_activity(ship_order, input=order, retry_policy=RETRY)
    ctx.set_custom_status("done")
    return {"processed": True, "payment": payment, "parcel": parcel}


def refused(ctx: perdure.WorkflowContext, reason: str) -> dict[str, Any]:
    ctx.set_custom_status("refused")
    return {"processed": False, "reason": reason}


# Activities have effects. Each runs at least once: after a crash during an activity it is run again, with the same
# `task_execution_id`. A receiver that uses this as an idempotency key acts once, and gives the same answer again.


@app.activity
async def reserve_inventory(ctx: perdure.ActivityContext, order: Order) -> str:
    if order.Quantity > STOCK:
        raise perdure.NonRetryableError(f"only {STOCK} {order.Name} are left")
    return await do_once(ctx, "reserve", f"{order.Quantity} {order.Name}")


@app.activity
async def release_inventory(ctx: perdure.ActivityContext, reservation: str) -> str:
    return await do_once(ctx, "release", reservation)


@app.activity
async def charge_customer(ctx: perdure.ActivityContext, order: Order) -> str:
    return await do_once(ctx, "charge", f"{order.TotalCost:.2f}")


@app.activity
async def ship_order(ctx: perdure.ActivityContext, order: Order) -> str:
    return await do_once(ctx, "ship", f"{order.Quantity} {order.Name}")


# The services of this example: a warehouse, a bank and a carrier. Each records a deed in a file under its idempotency
# key, so a repeated deed is recorded once.

STOCK = 100
DEED_S = 1.0  # how long a deed takes
BOOKS = anyio.Path(os.environ.get("ORDER_BOOKS") or f"{tempfile.gettempdir()}/perdure-order-books")


async def do_once(ctx: perdure.ActivityContext, deed: str, what: str) -> str:
    logger.info("%s %s: begun, key %s", deed, what, ctx.task_execution_id)
    await anyio.sleep(DEED_S)
    receipt = f"{deed}-{ctx.task_execution_id}"
    await BOOKS.mkdir(parents=True, exist_ok=True)
    await (BOOKS / receipt).write_text(what)
    logger.info("%s %s: done", deed, what)
    return receipt
