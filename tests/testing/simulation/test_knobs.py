"""Sizes of engines are choices of a world, and calm ones are those of production."""

from typing import Any

import pytest

from perdure import App, Settings, WorkflowContext
from perdure.runtime.engine import Engine
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.knobs import CONSTANTS, STREAMS, Knobs
from perdure.testing.simulation.world import SimWorld

app = App("knobs")


@app.workflow
async def family(ctx: WorkflowContext, generations: int) -> int:
    if generations == 0:
        return 1
    await ctx.create_timer(1)
    return 1 + int(await ctx.call_child_workflow(family, input=generations - 1))


def sizes(engine: Engine) -> dict[tuple[str, str], Any]:
    found = {}
    for path, name in CONSTANTS:
        part: Any = engine._host
        for attribute in filter(None, path.split(".")):
            part = getattr(part, attribute)
        found[path, name] = getattr(part, name)
    return found


def test_calm_knobs_change_nothing() -> None:
    settings = Settings(stop_grace_s=1)
    knobs = Knobs(settings, Choices())
    assert knobs.settings == settings
    tuned, usual = Engine(data=":memory:"), Engine(data=":memory:")
    knobs.turn(tuned)
    assert sizes(tuned) == sizes(usual)


def test_each_constant_can_be_turned() -> None:
    tuned, usual = Engine(data=":memory:"), Engine(data=":memory:")
    names = [STREAMS.get(place, place[1].lower()) for place in CONSTANTS]
    schedule = {(f"knob.{name}", index): 3 for name in names for index in range(len(CONSTANTS))}
    Knobs(Settings(), Choices(schedule=schedule)).turn(tuned)
    assert sizes(tuned) == {place: values[0] for place, values in CONSTANTS.items()}
    assert not set(sizes(tuned).items()) & set(sizes(usual).items())


@pytest.mark.parametrize("seed", range(10))
def test_engines_of_any_sizes_do_the_same(seed: int) -> None:
    async def story(world: SimWorld) -> None:
        for number in range(3):
            start = {"input": 3, "instance_id": f"i{number}"}
            await world.ask(lambda engine, start=start: engine.client.start(family, **start))  # type: ignore[misc]
        for number in range(3):
            id_ = f"i{number}"
            assert await world.ask(lambda engine, id_=id_: engine.client.result(id_)) == 4  # type: ignore[misc]
        await world.restart()
        await world.ask(lambda engine: engine.client.get("nobody"))

    drawn = Choices(seed)
    knobs = Knobs(Settings(stop_grace_s=1), drawn)
    assert drawn.taken
    SimWorld(app, settings=knobs).run(story)
