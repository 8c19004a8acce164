"""The real store on a real file outlives the lives of a world, and their locks do not."""

import os
from typing import Any

import pytest

from perdure import ActivityContext, App, WorkflowContext
from perdure.actors.store.sqlite.identity import holds_of
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.carrier import TRIP_S
from perdure.testing.simulation.machines.sqlite_file import SqliteFile
from perdure.testing.simulation.world import SimWorld

app = App("file")


@app.activity
async def shout(ctx: ActivityContext, text: str) -> str:
    return text.upper()


@app.workflow
async def greet(ctx: WorkflowContext, name: str) -> str:
    await ctx.create_timer(10)
    greeting: str = await ctx.call_activity(shout, input=f"hello {name}")
    return greeting


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


async def greeted(world: SimWorld) -> Any:
    await world.ask(lambda engine: engine.client.start(greet, input="you", instance_id="i", if_exists="return"))
    return (await world.ask(lambda engine: engine.client.wait("i", timeout=None))).output


def test_a_world_runs_on_the_real_file_and_leaves_none() -> None:
    with SqliteFile() as file:
        world = SimWorld(app, store=file.store)
        assert world.run(greeted) == "HELLO YOU"
        assert "world.db" in os.listdir(file.folder)
    assert not os.path.exists(file.folder)


def test_a_killed_life_leaves_its_wal_and_no_lock() -> None:
    seen: list[tuple[int, int]] = []

    async def story(world: SimWorld, file: SqliteFile) -> Any:
        await world.ask(lambda engine: engine.client.start(greet, input="you", instance_id="i"))
        path = os.path.join(file.folder, "world.db")
        before = len(holds_of(path))
        world.kill()
        seen.append((before, len(holds_of(path))))
        assert os.path.getsize(f"{path}-wal") > 0  # noqa: ASYNC240  which the next life takes for what was committed
        return await greeted(world)

    with SqliteFile() as file:
        assert SimWorld(app, store=file.store).run(lambda world: story(world, file)) == "HELLO YOU"
    assert seen == [(1, 0)]


# SQLite's own statements have been used before, when the file was made and claimed, and the app named.
PLACES = [
    ("store.fail", 0, False),
    ("kill.before", 0, False),
    ("kill.unheard", 0, True),
    ("sqlite.begin", 3, False),
    ("sqlite.commit", 3, False),
]


@pytest.mark.parametrize(("place", "number", "there"), PLACES)
def test_each_place_of_the_disk_leaves_all_or_nothing_in_the_file(place: str, number: int, there: bool) -> None:
    async def story(world: SimWorld) -> bool:
        with pytest.raises(Exception, match=r"disk|host|world.db"):
            await world.call(lambda engine: engine.client.start(greet, input="you", instance_id="i"))
        await world.sleep(1)
        return await world.ask(lambda engine: engine.client.get("i")) is not None

    with SqliteFile() as file:
        assert SimWorld(app, Choices(schedule={(place, number): 1}), store=file.store).run(story) is there


def test_a_commit_is_told_of_when_it_is_in_the_file_and_its_host_dies_before_it_hears_of_it() -> None:
    told: list[float] = []

    async def story(world: SimWorld) -> bool:
        def on_commit(writes: Any) -> None:
            told.append(world.loop.time())
            if len(told) == 1:
                world.loop.call_later(TRIP_S / 2, world.kill, context=world.loop.outside)

        world.on_commit.append(on_commit)
        with pytest.raises(Exception, match="host"):
            await world.call(lambda engine: engine.client.start(greet, input="you", instance_id="i"))
        await world.sleep(1)
        return await world.ask(lambda engine: engine.client.get("i")) is not None

    with SqliteFile() as file:
        assert SimWorld(app, store=file.store).run(story) is True


def test_a_file_begins_with_a_number_of_the_world() -> None:
    async def story(world: SimWorld) -> int:
        await greeted(world)
        connection = world.contents._carriers[0]._connection  # type: ignore[attr-defined]
        ((number,),) = connection.execute("SELECT value FROM meta WHERE name = 'store'")
        assert isinstance(number, int)
        return number

    def number() -> int:
        with SqliteFile() as file:
            return SimWorld(app, store=file.store).run(story)

    assert number() == number()
