"""One app with old and with new code, and engines that share a store, each with one of the two codes.

Both have the activity `both` and the workflows `calls` and `waits`; each has its own activity and its own workflow too.
"""

from collections.abc import Awaitable, Callable, Sequence

import anyio

from perdure import ActivityContext, App, Settings, TaskFailedError, WorkflowContext
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.history.status import Status
from perdure.testing.virtual_time import run_virtually

from .shared_engines import SharedEngine, SharedEngines, shared_engines

LASTS_S = 2.0  # an activity


class TwoCodes:
    """The two codes, and the calls of their activities."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []  # the code and the instance, for each begin of an activity
        self.cancelled: list[str] = []
        self.lasts_s = LASTS_S
        self.old, self.new = self._make("old"), self._make("new")

    def _make(self, code: str) -> App:
        app = App("shop")

        async def perform(ctx: ActivityContext, n: int) -> str:
            self.begun.append((code, ctx.workflow_id))
            try:
                await anyio.sleep(self.lasts_s)
            except BaseException:
                self.cancelled.append(ctx.workflow_id)
                raise
            return f"{n} by {code}"

        for name in ("both", f"{code}_step"):
            app.activity(name=name)(perform)

        @app.workflow
        async def calls(ctx: WorkflowContext, name: str) -> str:
            try:
                result: str = await ctx.call_activity(name, input=1)
            except TaskFailedError as error:
                return str(error)
            return result

        @app.workflow
        async def many(ctx: WorkflowContext, name: str) -> int:
            return len(set(await ctx.when_all([ctx.call_activity(name, input=n) for n in range(100)])))

        @app.workflow(name=f"{code}_waits")
        async def waits(ctx: WorkflowContext) -> str:
            first = await ctx.wait_for_external_event("go")
            second = await ctx.wait_for_external_event("go")
            return f"{first} {second} by {code}"

        @app.workflow
        async def parent(ctx: WorkflowContext, name: str) -> str:
            result: str = await ctx.call_child_workflow(name, instance_id=f"{ctx.instance_id}.child")
            return result

        return app


Tell = Callable[[SharedEngines, TwoCodes], Awaitable[None]]


def story(tell: Tell, *codes: str, settings: Settings | None = None, seed: int = 0, within_s: float = 600) -> None:
    """Run a test of engines, in virtual time.

    Args:
        codes: "old" or "new", of each engine.
    """
    two = TwoCodes()

    async def told() -> None:
        with anyio.fail_after(within_s):
            async with shared_engines(two.old, settings or Settings(), 0, seed=seed) as engines:
                for code in codes:
                    await add(engines, two, code)
                await anyio.sleep(3)
                await tell(engines, two)

    run_virtually(told)


async def add(engines: SharedEngines, two: TwoCodes, code: str) -> SharedEngine:
    """Add an engine with the old or the new code."""
    return await engines.add(two.old if code == "old" else two.new)


async def begun_at(engine: SharedEngine, engines: SharedEngines, two: TwoCodes, name: str) -> str:
    """An instance of an engine whose activity has begun, wherever it is performed."""
    instance_id = engines.id_at(engine, f"{name}-{len(two.begun)}")
    await engine.engine.facade.start("calls", instance_id=instance_id, input=f'"{name}"')
    while instance_id not in [each for _, each in two.begun]:
        await anyio.sleep(0.01)
    return instance_id


async def end_of(instance_id: str, through: SharedEngine) -> InstanceState:
    """The end of an instance."""
    return await through.engine.facade.wait(instance_id)


async def status_of(instance_id: str, through: SharedEngine) -> Status:
    """The status of an instance."""
    state = await through.engine.facade.inspect(instance_id)
    assert state is not None
    return state.status


async def completes(instance_id: str, through: SharedEngine, output: str) -> None:
    """Check that an instance completes."""
    state = await end_of(instance_id, through)
    assert (state.status, state.output) == (Status.COMPLETED, f'"{output}"'), state


def at_rest(engines: Sequence[SharedEngine]) -> bool:
    """Whether no engine performs an activity for another one, or has one at another engine."""
    apps = [each.engine._first for each in engines]
    return not any(
        len(app.activities) or app.activities.moving.lent or (app.activities.hosts and len(app.activities.hosts))
        for app in apps
    )
