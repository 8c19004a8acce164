"""A world of several hosts: one daemon for its story, whatever happens to each of them."""

import pytest

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.hosts.world import HostsWorld
from perdure.testing.simulation.world import SimWorld

from .worlds import all_up, app, played, twice


async def run_some(world: HostsWorld | SimWorld) -> None:
    for number in range(4):
        state = await world.ask(lambda engine, n=number: engine.client.run(twice, input=n))  # type: ignore[misc]
        assert state == 4 * number


def test_a_request_goes_to_any_host_and_is_answered() -> None:
    world = played(run_some, {("story.host", n): n % 3 for n in range(9) if n % 3}, number=3)
    assert not any(line.fault for line in world.trace.lines if "told to stop" not in line.what)


def test_two_hosts_that_are_parted_go_on_and_meet_again() -> None:
    async def story(world: HostsWorld) -> None:
        await all_up(world)
        world.part(0, 1, 8.0, one_way=True)
        await run_some(world)
        await world.heal()
        await run_some(world)

    played(story)


def test_the_code_that_kills_its_host_kills_that_one_alone() -> None:
    async def story(world: HostsWorld) -> None:
        await all_up(world)
        first = world.hosts[0].last
        assert first is not None
        world.kill()  # the story's own code is of no host
        assert world.kills == 0
        world.loop.in_life(first.life.number).run(world.kill, "it was told to")
        assert (world.kills, first.life.over, world.hosts[1].up) == (1, True, True)

    played(story)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_schedule_of_a_world_replays_it(seed: int) -> None:
    def digest(choices: Choices) -> str:
        world = HostsWorld(app, choices)
        world.run(run_some)
        return world.trace.digest

    first = Choices(seed)
    once = digest(first)
    again = Choices(schedule=first.taken)
    assert digest(again) == once
    assert not again.unmet
