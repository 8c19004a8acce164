"""Two apps on several hosts: each host has one of them, or both. The second may come to one host after the other."""

from collections.abc import Callable

from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.hosts.host import SimHost
from perdure.testing.simulation.hosts.world import HostsWorld

from ..apps.two import TwoApps
from .rows import apps_of_store

LOOK_S = 0.1
# The time for which a stopped host is waited for. One that other faults keep away comes back with its apps.
PATIENCE_S = 10.0
PAUSE_S = 1.0


class TwoHostedApps(TwoApps):
    """The two apps of a world of several hosts.

    Attributes:
        is_coming: Whether some host does not have all its apps yet.
    """

    def __init__(self, choices: Choices, world_of: Callable[[], HostsWorld], *, standings: int) -> None:
        super().__init__(choices, world_of, standings=standings, known=lambda: apps_of_store(world_of()), apart=True)
        self.is_coming = self.is_late

    async def come(self, world: HostsWorld) -> None:
        """Have the second app come, if it is late: stop one host after the other, and have it begin with its apps."""
        if not self.is_late:
            return
        await world.sleep(self.comes_s)
        self.is_late = False
        while old := [host for host in world.hosts if self._is_old(host)]:
            # One that is stopped already comes back with its apps.
            for host in [host for host in old if host.up and not host.stopped][:1]:
                await self._restart(world, host)
            await world.sleep(LOOK_S)
        self.is_coming = False

    async def _restart(self, world: HostsWorld, host: SimHost) -> None:
        host.stop(again_s=LOOK_S)
        until_s = world.loop.time() + PATIENCE_S
        while world.loop.time() < until_s and (self._is_old(host) or not host.up):
            await world.sleep(LOOK_S)
        await world.sleep(PAUSE_S)

    def _is_old(self, host: SimHost) -> bool:
        wanted = [app.name for app in self.hosted(host.number, self.apps[0])]
        return host.alive and host.last is not None and list(host.last.apps) != wanted
