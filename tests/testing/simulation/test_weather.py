"""The weather of a machine strikes where the choices say so, and ends with the faults."""

import pytest

from perdure import App
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.weather import WEATHER_S
from perdure.testing.simulation.world import SimWorld


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        ("kill.between", "killed: between two steps"),
        ("host.pause", "stands still for 0.1 s"),
        ("clock.step", "is set by 5.0 s"),
        ("deploy.now", "host 2   is up with app 2"),
    ],
)
def test_each_kind_strikes_at_its_time(stream: str, told: str) -> None:
    async def story(world: SimWorld) -> None:
        await world.sleep(2)

    world = SimWorld([App("one"), App("two")], Choices(schedule={(stream, 2): 1}), clock_is_set=True)
    world.run(story)
    line = next(line for line in world.trace.lines if told in str(line))
    assert 3 * WEATHER_S <= line.at_s < 3 * WEATHER_S + 0.02


def test_it_asks_ever_more_seldom_and_not_at_all_once_the_faults_are_over() -> None:
    async def story(world: SimWorld) -> tuple[int, int]:
        await world.sleep(30 * 24 * 3600)
        asked = world.choices.drawn["kill.between"]
        await world.heal()
        await world.sleep(30 * 24 * 3600)
        return asked, world.choices.drawn["kill.between"]

    month, two = SimWorld(App("one")).run(story)
    assert 200 < month < 2_000
    assert two == month
