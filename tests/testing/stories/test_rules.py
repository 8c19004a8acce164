"""Rules hold in every world without being asked for: nothing stalls, code fits what it has done, no error is lost."""

import asyncio
import random
from datetime import timedelta

from perdure import ActivityContext, App, WorkflowContext
from perdure.testing import InvariantFailed, World
from perdure.testing.stories.settling import told

from .shop import Shop, calm, in_world, succeed


async def start(world: World) -> None:
    await world.client.start("w", instance_id="o")
    await world.settle()


def test_an_instance_that_stalls_is_a_failure_at_once() -> None:
    # Given an instance that has reserved, and code that asks for another thing first,
    old, new = App("shop"), App("shop")

    @old.activity
    async def reserve(ctx: ActivityContext) -> None: ...

    @old.workflow(name="w")
    async def before(ctx: WorkflowContext) -> None:
        await ctx.call_activity(reserve)
        await ctx.create_timer(timedelta(seconds=1))

    @new.workflow(name="w")
    async def after(ctx: WorkflowContext) -> None:
        await ctx.create_timer(timedelta(seconds=1))

    async def story(world: World) -> None:
        await world.client.start("w", instance_id="o")
        await world.sleep(0.5)
        await world.deploy(new)
        await world.settle()

    # when it goes on with that code, then it is said what it had asked for, and what the code asks now.
    error = calm(old, story).error
    assert isinstance(error, InvariantFailed)
    assert error.name == "no instance stalls"
    assert "o is stalled" in error.what
    assert "recorded activity 'reserve', now the code asks a timer" in error.what


def test_a_workflow_that_asks_chance_itself_does_not_fit_what_it_has_done() -> None:
    app = App("dice")

    @app.activity(name="even")
    async def even(ctx: ActivityContext) -> None: ...

    @app.activity(name="odd")
    async def odd(ctx: ActivityContext) -> None: ...

    @app.workflow
    async def w(ctx: WorkflowContext) -> None:
        for _ in range(8):
            await ctx.call_activity("even" if random.random() < 0.5 else "odd")

    error = calm(app, start).error
    assert isinstance(error, InvariantFailed)
    assert error.name in ("the code fits what it has done", "no instance stalls")


def test_what_fits_is_counted() -> None:
    app = App("one")

    @app.workflow
    async def w(ctx: WorkflowContext) -> str:
        return "done"

    assert succeed(calm(app, start)).facts.replayed == 1


def test_a_terminated_instance_fits_though_its_end_was_not_its_codes() -> None:
    shop = Shop()

    async def story(world: World) -> None:
        await world.client.start(shop.wait, input="go", instance_id="o")
        await world.sleep(1)
        await world.client.terminate("o")

    assert succeed(calm(shop.app, story)).facts.replayed == 1


def test_an_error_of_the_event_loop_is_a_failure() -> None:
    app = App("leaky")

    @app.activity
    async def leave_behind(ctx: ActivityContext) -> None:
        asyncio.get_running_loop().call_soon(_fail)

    @app.workflow
    async def w(ctx: WorkflowContext) -> None:
        await ctx.call_activity(leave_behind)

    error = calm(app, start).error
    assert isinstance(error, InvariantFailed)
    assert "left behind" in str(error)


def _fail() -> None:
    raise RuntimeError("left behind")


def test_what_is_under_way_must_end() -> None:
    app = App("slow")

    @app.activity
    async def hang(ctx: ActivityContext) -> None:
        await asyncio.get_running_loop().create_future()

    @app.workflow
    async def w(ctx: WorkflowContext) -> None:
        await ctx.call_activity(hang)

    async def story(world: World) -> None:
        await world.client.start("w", instance_id="o")

    error = in_world(app, story, "", within=timedelta(minutes=1)).error
    assert "o (w) waits for activity 'hang' since" in str(error)
    assert told([], timedelta(minutes=1))


def test_an_error_of_a_task_that_nothing_awaits_is_no_secret() -> None:
    async def check() -> None:
        raise AssertionError("charged twice")

    async def story(world: World) -> None:
        checking = asyncio.create_task(check())
        await world.sleep(1)
        assert checking.done()

    error = calm(App("tasks"), story).error
    assert isinstance(error, InvariantFailed)
    assert error.name == "no error is lost"
    assert "check ended with AssertionError('charged twice')" in error.what


def test_a_task_that_is_asked_for_its_error_is_no_failure() -> None:
    async def check() -> None:
        raise ValueError("known")

    async def story(world: World) -> None:
        checking = asyncio.create_task(check())
        await asyncio.wait([checking])
        assert isinstance(checking.exception(), ValueError)

    succeed(calm(App("tasks"), story))
