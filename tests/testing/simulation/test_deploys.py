"""The next life of a host has the app of the last one, or the one that the choices say."""

import pytest

from perdure import App
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.deploys import Deploys
from perdure.testing.simulation.world import SimWorld

APPS = [App("one"), App("two"), App("three")]


def test_forward_goes_one_at_a_time_and_never_back() -> None:
    choices = Choices(schedule={("deploy", number): 2 for number in range(1, 9)})
    deploys = Deploys(APPS, "forward", choices)
    seen = []
    for _ in range(5):
        deploys.choose("deploy")
        seen.append(APPS.index(deploys.now))
    assert seen == [0, 1, 2, 2, 2]


def test_back_and_forth_goes_anywhere() -> None:
    deploys = Deploys(APPS, "back and forth", Choices(schedule={("deploy", 0): 2, ("deploy", 1): 1, ("deploy", 3): 1}))
    seen = []
    for _ in range(4):
        deploys.choose("deploy")
        seen.append(APPS.index(deploys.now))
    assert seen == [2, 0, 0, 1]


def test_one_app_is_no_choice() -> None:
    choices = Choices(schedule={("deploy", 0): 1})
    assert not Deploys(APPS[:1], "forward", choices).choose("deploy")
    assert choices.unmet


@pytest.mark.parametrize(("stream", "kills"), [("deploy", 1), ("deploy.now", 0)])
def test_a_host_comes_back_with_another_app(stream: str, kills: int) -> None:
    async def story(world: SimWorld) -> App:
        if kills:
            world.kill()
        await world.sleep(1)
        await world.ask(lambda engine: engine.client.get("i"))
        assert world.life is not None
        return world.life.app

    world = SimWorld(APPS, Choices(schedule={(stream, 0): 1}))
    assert world.run(story) is APPS[1]
    assert world.kills == kills
    assert "host 2   is up with app 2" in world.trace.story()


def test_a_story_deploys_by_hand() -> None:
    async def story(world: SimWorld) -> App:
        await world.deploy(APPS[2])
        await world.ask(lambda engine: engine.client.get("i"))
        assert world.life is not None
        return world.life.app

    assert SimWorld(APPS[0]).run(story) is APPS[2]
