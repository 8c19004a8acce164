"""Worlds of several hosts for the tests beside this file."""

from collections.abc import Awaitable, Callable

from perdure import App, WorkflowContext
from perdure.testing.simulation.choices import Choices, Schedule
from perdure.testing.simulation.hosts.world import HostsWorld

app = App("hosts")


@app.activity
async def double(ctx: object, n: int) -> int:
    return 2 * n


@app.workflow
async def twice(ctx: WorkflowContext, n: int) -> int:
    return int(await ctx.call_activity(double, input=await ctx.call_activity(double, input=n)))


def played(
    story: Callable[[HostsWorld], Awaitable[None]], schedule: Schedule | None = None, *, number: int = 2
) -> HostsWorld:
    """Run a world by a schedule; a calm one without."""
    world = HostsWorld(app, Choices(schedule=schedule or {}), number=number)
    world.run(story)
    return world


async def all_up(world: HostsWorld) -> None:
    """Wait until all hosts take requests."""
    while not all(host.up for host in world.hosts):
        await world.sleep(0.1)
