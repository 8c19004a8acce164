"""An app with a well-known bug: a crash between an effect and its record has the effect twice."""

import anyio

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.search.attempt import Run, attempt
from perdure.testing.simulation.world import SimWorld


def orders(*, with_key: bool) -> Run:
    """Runs one order, which must be charged once.

    Args:
        with_key: The activity gives the bank a key, and the bank knows by it what it has charged.
    """
    charged: dict[str, set[str]] = {}
    count: dict[str, int] = {}
    app = App("orders")
    worlds: list[SimWorld] = []

    @app.activity
    async def charge(ctx: ActivityContext, order: str) -> str:
        if not with_key or ctx.task_execution_id not in charged.setdefault(order, set()):
            count[order] = count.get(order, 0) + 1
            charged.setdefault(order, set()).add(ctx.task_execution_id)
        await worlds[-1].mortal("kill.charged", f"{order} is charged, and the host has not heard of it")
        await anyio.sleep(0.05)
        return "charged"

    @app.workflow
    async def buy(ctx: WorkflowContext, order: str) -> str:
        return await ctx.call_activity(charge, input=order)

    def make(choices: Choices) -> SimWorld:
        charged.clear()
        count.clear()
        worlds[:] = [SimWorld(app, choices)]
        return worlds[-1]

    async def story(world: SimWorld) -> None:
        await world.ask(
            lambda engine: engine.client.start(buy, input="order-0", instance_id="order-0", if_exists="return")
        )
        await world.ask(lambda engine: engine.client.result("order-0"))
        assert count["order-0"] == 1, f"order-0 was charged {count['order-0']} times"

    return attempt(make, story)
