"""The store of a life tells of each commit where the server has done it, before its host hears of that."""

from collections.abc import Mapping, Sequence

from perdure.actors.store.contract import Write
from perdure.testing.simulation.hosts.host import SharingLife
from perdure.testing.simulation.hosts.world import HostsWorld

from .worlds import all_up, played, twice


def test_a_commit_is_seen_with_its_epochs_before_its_host_is_notified() -> None:
    seen: list[tuple[Mapping[int, int], int]] = []

    def see(made: SharingLife, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        assert made.life.engine is not None
        seen.append((fences, made.life.engine.commits))

    async def story(world: HostsWorld) -> None:
        await all_up(world)
        world.seen.append(see)
        await world.ask(lambda engine: engine.client.run(twice, input=1))

    played(story, number=1)
    assert [heard for _, heard in seen] == list(range(len(seen)))
    assert len(seen) > 2
    assert all(fences for fences, _ in seen)
