"""A commit is on the disk or it is not, whatever happens to its host around it."""

import pytest

from perdure import App, WorkflowContext
from perdure.actors.store.errors import StoreFailed
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.world import ConnectionLost, World

app = App("disk")


@app.workflow
async def nothing(ctx: WorkflowContext) -> str:
    return "done"


async def begin(world: World) -> None:
    await world.call(lambda engine: engine.client.start(nothing, instance_id="i"))


@pytest.mark.parametrize(("place", "there"), [("store.fail", False), ("kill.before", False), ("kill.unheard", True)])
def test_each_place_leaves_all_or_nothing(place: str, there: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")

    async def story(world: World) -> bool:
        with pytest.raises(StoreFailed if place == "store.fail" else ConnectionLost):
            await begin(world)
        await world.sleep(1)
        return await world.ask(lambda engine: engine.client.get("i")) is not None

    world = World(app, Choices(schedule={(place, 0): 1}))
    assert world.run(story) is there
    assert world.kills == place.startswith("kill")
    assert world.disk.failed == (place == "store.fail")


def test_a_slow_disk_takes_its_time() -> None:
    async def story(world: World) -> float:
        began_s = world.loop.time()
        await begin(world)
        return world.loop.time() - began_s

    usual, slow = World(app).run(story), World(app, Choices(schedule={("store.slow", 0): 3})).run(story)
    assert usual < 0.01
    assert slow >= 0.1


def test_a_read_that_fails_is_a_failure_of_the_store(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")

    async def story(world: World) -> None:
        with pytest.raises(StoreFailed):
            await world.call(lambda engine: engine.client.get("nobody"))
        assert await world.call(lambda engine: engine.client.get("nobody")) is None

    # The first inspection is the engine's own: whether a worker was ever connected.
    World(app, Choices(schedule={("store.inspect", 1): 1})).run(story)
