"""A host of several: one process after another, of which each is a life of its own."""

from collections.abc import Sequence
from typing import Any

from perdure.actors.store.postgres.driver import Statement
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.hosts.world import HostsWorld
from perdure.testing.simulation.machines.database.backend import Scene
from perdure.testing.simulation.machines.database.statements.hosts import leave, revive
from perdure.testing.simulation.machines.database.work import Waiting

from .worlds import all_up, app, played


def test_a_host_that_is_killed_begins_another_life_at_another_address() -> None:
    async def story(world: HostsWorld) -> None:
        await all_up(world)
        host = world.hosts[0]
        first = host.last
        assert first is not None
        host.kill("the test has")
        assert not host.up
        assert host.is_gone(host.place_of(first.life))
        await all_up(world)
        assert host.last is not None
        assert host.last.transport.address != first.transport.address
        assert not host.is_gone(host.place_of(host.last.life))
        # Of other machines it does not know.
        assert not world.hosts[1].is_gone(host.place_of(first.life))

    assert played(story).kills == 1


def test_a_host_that_is_told_to_stop_gives_its_shards_and_begins_again_when_it_is_to() -> None:
    async def story(world: HostsWorld) -> None:
        await all_up(world)
        await world.sleep(3)
        host, other = world.hosts
        host.stop(again_s=5.0)
        assert host.stopped
        while host.alive:
            await world.sleep(0.1)
        assert other.last is not None
        assert len(other.last.store._opened().epochs) == world.shards
        await all_up(world)
        assert not host.stopped
        await host.restart()
        assert host.up

    assert played(story).kills == 0


def test_a_host_that_stands_still_is_disturbed_until_it_goes_on() -> None:
    async def story(world: HostsWorld) -> None:
        await all_up(world)
        host = world.hosts[0]
        host.pause(1.0)
        host.cut_off(0.5, there=False)
        assert host.last is not None
        assert host.last.disturbed_until_s == world.loop.time() + 1.0
        assert host.last.life.number in world.loop.held
        await world.sleep(1.1)
        assert host.last.life.number not in world.loop.held

    played(story)


def test_a_host_that_is_found_dead_before_its_first_beat_joins_again() -> None:
    async def story(world: HostsWorld) -> None:
        await all_up(world)
        assert (world.kills, len(world.lives)) == (0, 1)
        # Its process has not ended over that.
        assert len(killed) == 1
        assert host_of(world) not in killed

    killed: list[int] = []

    def revive_late(scene: Scene, statement: Statement, host: int) -> Waiting[Sequence[Any]]:
        if not killed:  # as if another host had killed it, while this was on its way
            killed.append(host)
            yield from leave(scene, statement, host)
        return (yield from revive(scene, statement, host))

    world = HostsWorld(app, Choices(), number=1)
    core = world.database.core
    core.functions = {**core.functions, "revive": revive_late}
    world.run(story)


def host_of(world: HostsWorld) -> int:
    last = world.hosts[0].last
    assert last is not None
    return last.store.host
