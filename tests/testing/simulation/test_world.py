"""Hosts of a world die and come back on the same disk, and the story's requests die with them."""

from datetime import timedelta

import anyio
import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.actors.store.memory import MemoryStore
from perdure.testing.simulation.calls import ConnectionLost
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.loop import Stuck
from perdure.testing.simulation.machines.disk import SimDisk
from perdure.testing.simulation.world import SimWorld

app = App("world")
cleaned_up: list[float] = []  # when, in virtual seconds


@app.activity
async def slow(ctx: ActivityContext, seconds: float) -> str:
    try:
        await anyio.sleep(seconds)
    except BaseException:
        cleaned_up.append(anyio.current_time())
        raise
    return "slept"


@app.workflow
async def sleeper(ctx: WorkflowContext, seconds: float) -> str:
    return await ctx.call_activity(slow, input=seconds)


@app.workflow
async def timer(ctx: WorkflowContext, days: int) -> str:
    await ctx.create_timer(timedelta(days=days))
    return "rang"


def test_days_pass_at_once_and_the_date_follows() -> None:
    async def story(world: SimWorld) -> str:
        return await world.call(lambda engine: engine.client.run(timer, input=3))

    world = SimWorld(app)
    assert world.run(story) == "rang"
    assert world.loop.time() >= 3 * 24 * 3600


def test_a_killed_host_comes_back_and_does_again_what_was_under_way() -> None:
    # Given an activity that is under way,
    async def story(world: SimWorld) -> str:
        await world.call(lambda engine: engine.client.start(sleeper, input=5, instance_id="i"))
        await world.sleep(1)
        # when the host is killed,
        world.kill()
        # then another comes, it is done again, and nothing of the first one was cancelled.
        result = str(await world.ask(lambda engine: engine.client.result("i")))
        assert cleaned_up == []
        return result

    cleaned_up.clear()
    world = SimWorld(app)
    assert world.run(story) == "slept"
    assert world.loop.time() > 6
    assert "killed: the story has" in world.trace.story()
    assert (world.kills, world.loop.errors) == (1, [])


def test_a_request_that_was_under_way_is_lost_and_may_be_repeated() -> None:
    async def story(world: SimWorld) -> None:
        await world.call(lambda engine: engine.client.start(timer, input=1, instance_id="i"))
        world.loop.call_later(1, world.kill)
        with pytest.raises(ConnectionLost):
            await world.call(lambda engine: engine.client.result("i"))
        assert await world.ask(lambda engine: engine.client.result("i")) == "rang"

    SimWorld(app).run(story)


def test_an_error_that_the_host_answers_with_reaches_the_story() -> None:
    async def story(world: SimWorld) -> None:
        await world.ask(lambda engine: engine.client.terminate("nobody"))

    with pytest.raises(Exception, match="no such instance"):
        SimWorld(app).run(story)


def test_a_host_that_stands_still_goes_on() -> None:
    async def story(world: SimWorld) -> float:
        await world.call(lambda engine: engine.client.start(sleeper, input=5, instance_id="i"))
        world.pause(30)
        await world.call(lambda engine: engine.client.result("i"))
        return world.loop.time()

    assert 30 <= SimWorld(app).run(story) < 31


def test_a_short_pause_within_a_long_one_does_not_end_it() -> None:
    async def story(world: SimWorld) -> float:
        await world.call(lambda engine: engine.client.start(sleeper, input=5, instance_id="i"))
        world.pause(30)
        world.pause(1)
        await world.call(lambda engine: engine.client.result("i"))
        return world.loop.time()

    assert 30 <= SimWorld(app).run(story) < 31


def test_a_host_that_is_stopped_in_order_leaves_its_end_to_the_next() -> None:
    async def story(world: SimWorld) -> str:
        await world.call(lambda engine: engine.client.start(timer, input=1, instance_id="i"))
        await world.restart()
        assert await world.ask(lambda engine: engine.client.result("i")) == "rang"
        assert world.life is not None
        return str(world.life.number)

    world = SimWorld(app)
    assert world.run(story) == "2"
    assert world.kills == 0


def test_a_story_that_waits_for_a_host_which_is_never_started_is_stuck() -> None:
    async def story(world: SimWorld) -> None:
        await world.stop()
        await world.ask(lambda engine: engine.client.get("i"))

    with pytest.raises(Stuck):
        SimWorld(app).run(story)


@pytest.mark.parametrize("place", ["kill.between", "kill.here"])
def test_a_host_is_killed_where_the_schedule_says_so(place: str) -> None:
    async def story(world: SimWorld) -> None:
        async def request(engine: object) -> None:
            await world.mortal("kill.here", "it was told to be")
            await anyio.sleep(1)

        with pytest.raises(ConnectionLost):
            await world.call(request)
        await world.call(lambda engine: engine.client.get("i"))

    world = SimWorld(app, Choices(schedule={(place, 0): 1}))
    world.run(story)
    assert world.kills == 1


def test_no_fault_happens_after_the_world_was_healed() -> None:
    async def story(world: SimWorld) -> None:
        world.kill()
        await world.heal()
        await world.sleep(3_600)

    world = SimWorld(app, Choices(schedule={("kill.between", n): 1 for n in range(100)}))
    world.run(story)
    assert world.kills == 1


def test_the_date_is_set_where_the_schedule_says_so() -> None:
    async def story(world: SimWorld) -> None:
        await world.sleep(1)

    world = SimWorld(app, Choices(schedule={("clock.step", 0): 4}), clock_is_set=True)
    world.run(story)
    assert "is set by -3600.0 s" in world.trace.story()
    assert world.clock.now_us() - world.clock.monotonic_us() == 1_767_225_600_000_000 - 3_600_000_000


@pytest.mark.parametrize(("place", "value"), [("kill.recovering", 1), ("kill.recovering", 3), ("kill.stopping", 1)])
def test_a_host_is_killed_while_it_recovers_or_stops(place: str, value: int) -> None:
    async def story(world: SimWorld) -> str:
        await world.call(lambda engine: engine.client.start(sleeper, input=5, instance_id="i"))
        await world.restart()
        return str(await world.ask(lambda engine: engine.client.result("i")))

    world = SimWorld(app, Choices(schedule={(place, 0): value}))
    assert world.run(story) == "slept"
    assert world.kills == 1
    assert not world.loop.errors


def test_a_host_that_was_killed_and_started_by_hand_is_not_started_twice() -> None:
    async def story(world: SimWorld) -> None:
        world.kill()
        await world.restart()
        await world.sleep(60)

    world = SimWorld(app)
    world.run(story)
    assert [line.what for line in world.trace.lines].count("is up") == 1


def test_a_host_that_was_killed_and_stopped_is_not_started() -> None:
    async def story(world: SimWorld) -> None:
        world.kill()
        await world.stop()
        await world.sleep(60)
        assert world.life is None

    SimWorld(app).run(story)


def test_predicates_are_looked_at_behind_each_commit_and_each_touch_and_end_the_world() -> None:
    looks: list[float] = []

    async def story(world: SimWorld) -> None:
        await world.call(lambda engine: engine.client.run(timer, input=1))
        looked, commits = len(looks), world.disk.commits
        assert looked == commits > 0
        world.touched()
        await world.sleep(1)
        assert len(looks) == looked + 1
        world.on_step.append(fail)
        world.touched()
        await world.sleep(1)
        pytest.fail("the world went on")

    def fail() -> None:
        raise ValueError("broken")

    world = SimWorld(app)
    world.on_step.append(lambda: looks.append(world.loop.time()))
    with pytest.raises(ValueError, match="broken"):
        world.run(story)


def test_machines_learn_of_the_end_of_each_life() -> None:
    class Network:
        def __init__(self) -> None:
            self.ended: list[int] = []

        def life_ended(self, number: int) -> None:
            self.ended.append(number)

    async def story(world: SimWorld) -> None:
        await world.call(lambda engine: engine.client.get("i"))
        world.kill()
        await world.ask(lambda engine: engine.client.get("i"))

    world = SimWorld(app)
    world.machines.append(network := Network())
    world.run(story)
    assert network.ended == [1, 2]


def test_each_life_opens_the_store_that_it_is_given() -> None:
    stores = [MemoryStore(), MemoryStore()]

    async def story(world: SimWorld) -> bool:
        await world.call(lambda engine: engine.client.start(timer, input=1, instance_id="i"))
        await world.restart()
        return await world.ask(lambda engine: engine.client.get("i")) is None

    given = iter(stores)
    world = SimWorld(app, store=lambda world, instruments: next(given))
    assert world.run(story)
    assert world.contents is stores[1]


def test_a_host_that_cannot_begin_comes_back_ever_later(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an engine that ends with an error whenever it begins,
    async def open_badly(self: SimDisk) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(SimDisk, "open", open_badly)

    # when ten minutes pass,
    async def story(world: SimWorld) -> None:
        await world.sleep(600)

    world = SimWorld(app)
    world.run(story)
    # then it had some hundred lives, as under a supervisor, and not twelve thousand.
    ended = [line for line in world.trace.lines if "has ended: a fault of ours" in line.what]
    assert 100 < len(ended) < 150
    assert ended[1].at_s - ended[0].at_s < 0.2
    assert 5 <= ended[-1].at_s - ended[-2].at_s < 5.1
