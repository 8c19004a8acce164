"""The app that the page is tested with: a shop whose instances end in all ways, wait for all kinds of things, and have
histories of any size.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import anyio

import perdure

app = perdure.App("shop")

RETRY = perdure.RetryPolicy(first_retry_interval=timedelta(seconds=0.2), max_number_of_attempts=3)
LATER = perdure.RetryPolicy(first_retry_interval=timedelta(hours=1), max_number_of_attempts=3)


class CardDeclined(Exception):
    """What the bank says."""


@dataclass(frozen=True)
class Order:
    """What a customer wants."""

    item: str
    quantity: int
    price: float
    express: bool = False


@app.workflow(name="Checkout")
async def check_out(ctx: perdure.WorkflowContext, order: Order) -> dict[str, Any]:
    ctx.set_custom_status("reserving")
    await ctx.call_activity(reserve, input=order, retry_policy=RETRY)
    ctx.set_custom_status("waiting for approval")
    approval = await ctx.wait_for_external_event("approval", timeout=timedelta(days=3))
    ctx.set_custom_status("charging")
    await ctx.call_activity(charge, input=order, retry_policy=RETRY)
    await ctx.call_activity(ship, input=order)
    ctx.set_custom_status("done")
    return {"shipped": order.quantity, "approval": approval}


@app.workflow(name="Payout")
async def pay_out(ctx: perdure.WorkflowContext, order: Order) -> str:
    await ctx.call_activity(reserve, input=order)
    receipt: str = await ctx.call_activity(charge, input=order, retry_policy=RETRY)
    return receipt


@app.workflow(name="PatientPayout")
async def pay_out_patiently(ctx: perdure.WorkflowContext, order: Order) -> str:
    receipt: str = await ctx.call_activity(charge, input=order, retry_policy=LATER)
    return receipt


@app.workflow(name="NightlyReport")
async def report(ctx: perdure.WorkflowContext, regions: list[str]) -> int:
    parts = [ctx.call_child_workflow(region_report, input=region) for region in regions]
    return sum([await part for part in parts])


@app.workflow(name="RegionReport")
async def region_report(ctx: perdure.WorkflowContext, region: str) -> int:
    await ctx.call_activity(collect, input=region)
    if region == "north":
        await ctx.wait_for_external_event("numbers of the north")
    return len(region)


@app.workflow(name="Renewal")
async def renew(ctx: perdure.WorkflowContext, days: int) -> None:
    await ctx.create_timer(timedelta(days=days))


@app.workflow(name="Counting")
async def count(ctx: perdure.WorkflowContext, steps: int) -> int:
    for start in range(0, steps, 100):
        for task in [ctx.call_activity(touch, input=start + n) for n in range(min(100, steps - start))]:
            await task
    return steps


@app.workflow(name="Scan")
async def scan(ctx: perdure.WorkflowContext, size: int) -> str:
    document: str = await ctx.call_activity(photograph, input=size)
    return document


@app.workflow(name="Touch")
async def touch_once(ctx: perdure.WorkflowContext, number: int) -> int:
    return number


@app.workflow(name="Hang")
async def hang(ctx: perdure.WorkflowContext, seconds: float) -> None:
    await ctx.call_activity(sleep, input=seconds)


@app.activity
async def reserve(_ctx: perdure.ActivityContext, order: Order) -> str:
    await anyio.sleep(0.05)
    return f"{order.quantity} {order.item}"


@app.activity
async def charge(_ctx: perdure.ActivityContext, order: Order) -> str:
    await anyio.sleep(0.08)
    if order.price > 100:
        raise CardDeclined(f"the bank declined {order.price}: insufficient funds")
    return f"paid {order.price}"


@app.activity
async def ship(_ctx: perdure.ActivityContext, order: Order) -> str:
    await anyio.sleep(0.03)
    return order.item


@app.activity
async def collect(_ctx: perdure.ActivityContext, region: str) -> str:
    await anyio.sleep(0.06)
    return region


@app.activity
async def touch(_ctx: perdure.ActivityContext, number: int) -> int:
    return number


@app.activity
async def photograph(_ctx: perdure.ActivityContext, size: int) -> str:
    return "<b>no markup</b>" + "x" * size


@app.activity
async def sleep(_ctx: perdure.ActivityContext, seconds: float) -> None:
    await anyio.sleep(seconds)
