"""An order, from the shelf to the door, with a person who has to approve it.

    perdure run examples/order_processing.py

    curl -X POST 'http://127.0.0.1:3500/v1.0/workflows/dapr/OrderProcessingWorkflow/start?instanceID=order-1' \
         -d '{"Name": "Paperclips", "TotalCost": 99.95, "Quantity": 4}'
    curl http://127.0.0.1:3500/v1.0/workflows/dapr/order-1
    curl -X POST http://127.0.0.1:3500/v1.0/workflows/dapr/order-1/raiseEvent/approval -d '{"approved": true}'

Kill the daemon wherever you like and start it again: the order goes on where
it was. `make demo` does just that.
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
    """What the shop's front end sends; the names are the front end's."""

    Name: str
    TotalCost: float
    Quantity: int


# The workflow decides, and does nothing else. It may be run again from its first line at any time, with the
# answers it was given before, so it has no clock, no network and no file of its own.


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
        # What was done is undone, and this is as durable as the rest.
        await ctx.call_activity(release_inventory, input=reservation, retry_policy=RETRY)
        return refused(ctx, error.details.message)

    ctx.set_custom_status("shipping")
    parcel = await ctx.call_activity(ship_order, input=order, retry_policy=RETRY)
    ctx.set_custom_status("done")
    return {"processed": True, "payment": payment, "parcel": parcel}


def refused(ctx: perdure.WorkflowContext, reason: str) -> dict[str, Any]:
    ctx.set_custom_status("refused")
    return {"processed": False, "reason": reason}


# Activities touch the world. Each runs at least once: after a crash in the middle of one, it is run again with
# the same `task_execution_id`. A receiver that takes it as an idempotency key does the deed once, and answers the
# second time as it did the first.


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


# The world of this example: a warehouse, a bank and a carrier that keep books, one file for each deed, under
# its idempotency key. A deed that is done twice stands in the books once.

STOCK = 100
DEED_S = 1.0  # the world is slow
BOOKS = anyio.Path(os.environ.get("ORDER_BOOKS") or f"{tempfile.gettempdir()}/perdure-order-books")


async def do_once(ctx: perdure.ActivityContext, deed: str, what: str) -> str:
    logger.info("%s %s: begun, key %s", deed, what, ctx.task_execution_id)
    await anyio.sleep(DEED_S)
    receipt = f"{deed}-{ctx.task_execution_id}"
    await BOOKS.mkdir(parents=True, exist_ok=True)
    await (BOOKS / receipt).write_text(what)
    logger.info("%s %s: done", deed, what)
    return receipt
