"""Plain functions and processes of activities run in virtual time, one at a time, and die with their host."""

import time
from typing import Any

import pytest

from perdure import ActivityContext, App, TaskFailedError, WorkflowContext
from perdure.runtime.activities.process_call import Reference
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.threads import current
from perdure.testing.simulation.machines.workshop import find_here
from perdure.testing.simulation.world import SimWorld

app = App("workshop")
done: list[str] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


def stand(seconds: float) -> None:
    thread = current()
    assert thread is not None
    thread.pause(seconds)


@app.activity
def count(ctx: ActivityContext, to: int) -> int:
    for number in range(to):
        done.append(f"{ctx.workflow_id} {number}")
        stand(1)
    return to


@app.activity(executor="process")
def double(ctx: ActivityContext, n: int) -> int:
    stand(n)
    done.append("doubled")
    return 2 * n


@app.workflow
async def counts(ctx: WorkflowContext, to: int) -> Any:
    return await ctx.call_activity(count, input=to)


@app.workflow
async def doubles(ctx: WorkflowContext, n: int) -> Any:
    try:
        return await ctx.call_activity(double, input=n)
    except TaskFailedError as error:
        return error.details.error_type


async def run(world: SimWorld, workflow: Any, given: Any, id_: str = "i") -> Any:
    await world.ask(lambda engine: engine.client.start(workflow, input=given, instance_id=id_, if_exists="return"))
    return (await world.ask(lambda engine: engine.client.wait(id_, timeout=None))).output


def test_a_thread_pauses_in_virtual_time_and_gives_its_result() -> None:
    async def story(world: SimWorld) -> tuple[Any, bool]:
        began_s = time.perf_counter()
        result = await run(world, counts, 60)
        return result, 60 <= world.loop.time() < 61 and time.perf_counter() - began_s < 30

    assert SimWorld(app).run(story) == (60, True)


def test_a_kill_ends_a_thread_where_it_stands_and_the_next_life_begins_again() -> None:
    async def story(world: SimWorld) -> Any:
        world.loop.call_later(2.5, world.kill, context=world.loop.outside)
        return await run(world, counts, 3)

    assert SimWorld(app).run(story) == 3
    assert done == ["i 0", "i 1", "i 2", "i 0", "i 1", "i 2"]


def test_a_thread_whose_instance_was_terminated_goes_on_and_nothing_reads_its_outcome() -> None:
    async def story(world: SimWorld) -> Any:
        async def start(engine: Any) -> None:
            await engine.client.start(counts, input=5, instance_id="i")

        await world.ask(start)
        await world.sleep(2.5)
        await world.ask(lambda engine: engine.client.terminate("i"))
        await world.sleep(10)
        state = await world.ask(lambda engine: engine.client.get("i"))
        assert state is not None
        return state.status.name

    assert SimWorld(app).run(story) == "TERMINATED"
    assert len(done) == 5


def test_a_process_is_given_text_and_gives_text() -> None:
    async def story(world: SimWorld) -> tuple[Any, int]:
        return await run(world, doubles, 21), world.workshop.calls

    assert SimWorld(app).run(story) == (42, 1)


def test_a_process_that_dies_is_a_failure_of_its_activity() -> None:
    async def story(world: SimWorld) -> Any:
        return await run(world, doubles, 1)

    for may_die, result in ((True, "BrokenWorkerProcess"), (False, 2)):
        world = SimWorld(app, Choices(schedule={("process.dies", 0): 1}))
        world.workshop.processes_die = may_die
        assert world.run(story) == result


def test_a_process_whose_instance_was_terminated_goes_no_further() -> None:
    async def story(world: SimWorld) -> None:
        async def start(engine: Any) -> None:
            await engine.client.start(doubles, input=5, instance_id="i")

        await world.ask(start)
        await world.sleep(2)
        await world.ask(lambda engine: engine.client.terminate("i"))
        await world.sleep(10)

    SimWorld(app).run(story)
    assert done == []


def test_a_function_is_found_by_its_name_and_not_by_one_within_another() -> None:
    assert find_here(Reference.of(double)) is double
    with pytest.raises(AttributeError):
        find_here(Reference(__name__, "run.<locals>.inner", None))
