"""A world of several hosts on one database: whole engines, a network between them, and a story that happens to them.

The rule: the same choices give the same world, step by step and byte by byte, in any process.

    world = HostsWorld(app, Choices(seed=7), number=3)
    world.run(story)           # story(world) awaits world.ask(...), world.sleep(...)

A request of the story goes to any host that is up, as behind a load balancer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Self, TypeAlias, TypeVar

from ....actors.store.contract import Write
from ....runtime.authoring.app import App
from ....runtime.settings import Settings
from ..base import BaseWorld
from ..choices import Choices
from ..deploys import DeployMode
from ..knobs import Knobs
from ..life import Life
from ..loop import HOST
from ..machines.database.machine import SimDatabase
from ..machines.network import SimNetwork
from ..trace import WorldTrace
from .host import SharingLife, SimHost
from .weather import HostsWeather

T = TypeVar("T")

# Called with the life, the writes and the epochs of a commit.
CommitOfLife: TypeAlias = Callable[[SharingLife, Sequence[Write], Mapping[int, int]], None]

# How many shards the store has; the first is the usual number.
SHARDS = (8, 5, 16)


class HostsWorld(BaseWorld):
    """Several machines, and a story.

    Args:
        number: How many hosts there are.
        apps, choices, deploy, settings, clock_is_set, lossy, trace: As for `BaseWorld`.

    Attributes:
        lives: All lives of all hosts, by their numbers.
        seen: Called with the life, the writes and the epochs of each commit, when the server has just done it.
        acknowledged: Called with the same, when the life has just learned of the commit.
    """

    def __init__(
        self,
        apps: App | Sequence[App],
        choices: Choices | None = None,
        *,
        number: int = 3,
        deploy: DeployMode = "forward",
        settings: Settings | Knobs | None = None,
        clock_is_set: bool = False,
        lossy: bool = False,
        trace: WorldTrace | None = None,
    ) -> None:
        super().__init__(
            apps, choices, deploy=deploy, settings=settings, clock_is_set=clock_is_set, lossy=lossy, trace=trace
        )
        self.shards = SHARDS[self.choices.draw("world.shards", len(SHARDS))]
        self.database = SimDatabase(self.choices, lambda what: self.tell("database", what))
        self.network = SimNetwork(self.loop, self.choices, lambda what: self.tell("network", what))
        self.hosts = [SimHost(self, 1 + n) for n in range(number)]
        self.lives: dict[int, SharingLife] = {}
        self.seen: list[CommitOfLife] = []
        self.acknowledged: list[CommitOfLife] = []
        self._writer = 0
        self._failed = 0  # in lives that are forgotten

    def tell(self, who: str, what: str) -> None:
        """Note a fault."""
        self.trace.tell(self.loop.time(), who, what, fault=True)

    # For the checks.

    several = True

    @property
    def writer(self) -> int:
        return self._writer or HOST.get()

    def is_over(self, life: int) -> bool:
        made = self.lives.get(life)
        return made is None or made.life.over

    @property
    def failed(self) -> int:
        return self._failed + sum(made.disk.failed for made in self.lives.values())

    def seen_committed(self, made: SharingLife, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        """Take note of a commit that the server has just done."""
        for see in self.seen:
            see(made, writes, fences)

    def seen_acknowledged(self, made: SharingLife, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        """Take note of a commit of which its life has just learned."""
        for see in self.acknowledged:
            see(made, writes, fences)

    def committed(self, made: SharingLife, writes: Sequence[Write]) -> None:
        """Take note of a commit, and of its life."""
        before, self._writer = self._writer, made.life.number
        try:
            self._committed(writes)
        finally:
            self._writer = before

    # The story.

    async def _run(self, story: Callable[[Self], Awaitable[T]]) -> T:
        for host in self.hosts:
            host.start()
        self.database.begin()
        weather = HostsWeather(self)
        weather.begin()
        result = await story(self)
        weather.end()
        for host in self.hosts:
            host.stop()
        while any(host.alive for host in self.hosts):
            await self.sleep(0.1)
        return result

    def _forget_engines(self) -> None:
        self._failed = self.failed
        self.lives.clear()
        for host in self.hosts:
            host.now = host.last = None

    async def _up(self) -> Life:
        while True:
            up = [host.last.life for host in self.hosts if host.last is not None and host.up]
            if up:
                return up[self.choices.draw("story.host", len(up))]
            await self._next_arrival()

    def kill(self, why: str = "the story has") -> None:
        made = self.lives.get(HOST.get())
        if made is not None:
            self.kill_life(made, why)

    def kill_life(self, made: SharingLife, why: str) -> None:
        """End a life as `kill -9` does, if it is not over."""
        for host in self.hosts:
            if host.last is made:
                host.kill(why)

    def part(self, one: int, other: int, seconds: float, *, one_way: bool) -> None:
        """Let nothing through from a host to another one for a while, and back unless it is one way.

        Args:
            one, other: Which of `hosts`.
        """
        sender, receiver = self.hosts[one], self.hosts[other]
        way = "does not reach" if one_way else "and back does not reach"
        self.tell(sender.name, f"{way} {receiver.name} for {seconds} s")
        self.network.cut(sender.machine, receiver.machine, one_way=one_way)
        self.loop.call_later(seconds, self.network.heal, sender.machine, receiver.machine, context=self.loop.outside)

    async def heal(self) -> None:
        """End all faults, and bring all hosts up."""
        self.choices.calmed = True
        self.network.heal_all()
        self.database.heal()
        for host in self.hosts:
            if host.stopped:
                self.tell(host.name, "begins again, as the faults are over")
            host.start()
        while not all(host.up and not host.stopped for host in self.hosts):
            for host in self.hosts:
                host.start()
            await self.sleep(0.1)
