"""A commit is on the disk or it is not, whatever happens to its host around it."""

import pytest

from perdure import App, WorkflowContext
from perdure.actors.store.errors import StoreFailed
from perdure.testing.simulation.calls import ConnectionLost
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.world import SimWorld

app = App("disk")


@app.workflow
async def nothing(ctx: WorkflowContext) -> str:
    return "done"


async def begin(world: SimWorld) -> None:
    await world.call(lambda engine: engine.client.start(nothing, instance_id="i"))


@pytest.mark.parametrize(("place", "there"), [("store.fail", False), ("kill.before", False), ("kill.unheard", True)])
def test_each_place_leaves_all_or_nothing(place: str, there: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")

    async def story(world: SimWorld) -> bool:
        with pytest.raises(StoreFailed if place == "store.fail" else ConnectionLost):
            await begin(world)
        await world.sleep(1)
        return await world.ask(lambda engine: engine.client.get("i")) is not None

    world = SimWorld(app, Choices(schedule={(place, 0): 1}))
    assert world.run(story) is there
    assert world.kills == place.startswith("kill")
    assert world.disk.failed == (place == "store.fail")


def test_a_slow_disk_takes_its_time() -> None:
    async def story(world: SimWorld) -> float:
        began_s = world.loop.time()
        await begin(world)
        return world.loop.time() - began_s

    usual, slow = SimWorld(app).run(story), SimWorld(app, Choices(schedule={("store.slow", 0): 3})).run(story)
    assert usual < 0.01
    assert slow >= 0.1


def test_what_a_host_reads_is_counted_and_what_it_writes_is_not() -> None:
    async def story(world: SimWorld) -> tuple[int, int, int]:
        await begin(world)
        await world.call(lambda engine: engine.client.wait("i", timeout=5))
        await world.sleep(10)
        before = world.disk.reads
        await world.sleep(3_600)
        at_rest = world.disk.reads
        await world.call(lambda engine: engine.client.get("nobody"))
        looked = world.disk.reads
        await world.call(lambda engine: engine.client.start(nothing, instance_id="j"))
        return at_rest - before, looked - at_rest, world.disk.commits

    at_rest, looked, commits = SimWorld(app).run(story)
    assert (at_rest, looked) == (0, 1)
    assert commits > 0


def test_a_read_that_fails_is_a_failure_of_the_store(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")

    async def story(world: SimWorld) -> None:
        with pytest.raises(StoreFailed):
            await world.call(lambda engine: engine.client.get("nobody"))
        assert await world.call(lambda engine: engine.client.get("nobody")) is None

    # The first inspection is the engine's own: whether a worker was ever connected.
    SimWorld(app, Choices(schedule={("store.inspect", 1): 1})).run(story)


@pytest.mark.parametrize(("value", "there"), [(1, True), (2, False)])
def test_a_commit_whose_outcome_is_unknown_is_there_or_not(
    value: int, there: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL")

    async def story(world: SimWorld) -> bool:
        world.disk.unknown = True
        with pytest.raises(StoreFailed):
            await begin(world)
        return bool(await world.contents.ids("workflow", after=None, limit=1))

    assert SimWorld(app, Choices(schedule={("store.unknown", 0): value})).run(story) is there


def test_without_asking_for_it_no_outcome_is_unknown() -> None:
    world = SimWorld(app, Choices(schedule={("store.unknown", 0): 1}))
    world.run(begin)
    assert world.choices.unmet


def test_a_store_that_does_not_open_keeps_its_host_waiting(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    world = SimWorld(app, Choices(schedule={("store.open", 0): 1, ("store.open", 1): 1}))
    world.run(begin)
    assert "host 3   is up" in world.trace.story()
    assert world.kills == 0


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_host_is_killed_while_it_starts(index: int) -> None:
    world = SimWorld(app, Choices(schedule={("kill.starting", index): 1}))
    world.run(begin)
    assert world.kills == 1
    assert "host 2   is up" in world.trace.story()


def test_a_host_is_killed_when_it_has_read() -> None:
    async def story(world: SimWorld) -> None:
        with pytest.raises(ConnectionLost):
            await begin(world)
        await begin(world)

    world = SimWorld(app, Choices(schedule={("kill.reading", 0): 1}))
    world.run(story)
    assert world.kills == 1
