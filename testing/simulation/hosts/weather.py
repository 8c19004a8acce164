"""Weather over several hosts: the faults of hosts, and of the network between them, at any time.

The rule: it draws its choices at moments that do not depend on the hosts.

    kill.between   a host is killed
    host.pause     a host stands still, as by SIGSTOP
    host.leave     a host is told to stop; another one begins soon, or late, or only when the faults are over
    hosts.roll     all hosts are restarted in order, one after the other
    host.away      nothing gets through between a host and the database
    host.deaf      the database hears a host, and the host not the database
    hosts.apart    two hosts do not reach each other, one way or both
"""

from collections.abc import Sequence
from itertools import permutations
from typing import Protocol

from ..choices import Choices
from ..loop import SimHandle, SimLoop

# When the weather may change: as over one host, but with longer pauses between the changes, because hosts judge each
# other after seconds.
WEATHER_S, WEATHER_SHARE, WEATHER_S_MAX = 0.05, 0.05, 3_600.0
RATES = (0.01, 0.03, 0.1)
PAUSES_S = (0.3, 1.2, 3.0, 8.0, 30.0)
SILENCES_S = (0.3, 1.2, 3.0, 9.0, 20.0)
# How long after its end another one begins; None: when the faults are over.
AGAIN_S = (0.1, 2.0, 15.0, None)
APART_S = (0.5, 2.5, 8.0, 30.0)


class HostUnderTheSky(Protocol):
    """A host that has weather."""

    @property
    def stopped(self) -> bool:
        """Whether the host has been stopped."""
        ...

    def kill(self, why: str) -> None:
        """End the host as SIGKILL does; it is started again."""
        ...

    def pause(self, seconds: float) -> None:
        """Stop the host for `seconds`, as SIGSTOP does."""
        ...

    def stop(self, *, again_s: float | None = None) -> None:
        """Stop the host in order; it is started again after `again_s` seconds; None: when the faults are over."""
        ...

    def cut_off(self, seconds: float, *, there: bool = True) -> None:
        """Cut the host off from the database for `seconds`, on the way there or on the way back."""
        ...


class HostsUnderTheSky(Protocol):
    """Hosts that have weather; `world.py` has them."""

    loop: SimLoop
    choices: Choices

    @property
    def hosts(self) -> Sequence[HostUnderTheSky]:
        """The hosts of the world."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass; seconds."""
        ...

    def part(self, one: int, other: int, seconds: float, *, one_way: bool) -> None:
        """Cut two hosts off from each other for `seconds`, both ways or one way."""
        ...


class HostsWeather:
    """Causes faults until the faults of the world are over, or until `end`."""

    def __init__(self, world: HostsUnderTheSky) -> None:
        self._world = world
        self._passed_s = 0.0
        self._next: SimHandle | None = None
        self._rolling = False

    def begin(self) -> None:
        """Set the time of the next fault."""
        pause_s = min(max(WEATHER_S, WEATHER_SHARE * self._passed_s), WEATHER_S_MAX)
        self._passed_s += pause_s
        self._next = self._world.loop.call_later(pause_s, self._strike, context=self._world.loop.outside)

    def end(self) -> None:
        """Let no further fault happen."""
        if self._next is not None:
            self._next.cancel()

    def _fault(self, stream: str, ways: int, things: int) -> tuple[int, int] | None:
        """Choose a fault: one of `things`, and in which of `ways`; None for no fault."""
        chosen = self._world.choices.fault(stream, 1 + ways * things, rates=RATES)
        return divmod(chosen - 1, ways) if chosen else None

    def _strike(self) -> None:
        world = self._world
        if world.choices.calmed:
            return
        self.begin()
        hosts, number = world.hosts, len(world.hosts)
        if fault := self._fault("kill.between", 1, number):
            hosts[fault[0]].kill("between two steps")
        if fault := self._fault("host.pause", len(PAUSES_S), number):
            hosts[fault[0]].pause(PAUSES_S[fault[1]])
        if fault := self._fault("host.leave", len(AGAIN_S), number):
            hosts[fault[0]].stop(again_s=AGAIN_S[fault[1]])
        if self._fault("hosts.roll", 1, 1) and not self._rolling:
            world.loop.create_task(self._roll(), context=world.loop.outside.copy())
        if fault := self._fault("host.away", len(SILENCES_S), number):
            hosts[fault[0]].cut_off(SILENCES_S[fault[1]])
        if fault := self._fault("host.deaf", len(SILENCES_S), number):
            hosts[fault[0]].cut_off(SILENCES_S[fault[1]], there=False)
        pairs = list(permutations(range(number), 2))
        if fault := self._fault("hosts.apart", 2 * len(APART_S), len(pairs)):
            one, other = pairs[fault[0]]
            one_way, at = divmod(fault[1], len(APART_S))
            world.part(one, other, APART_S[at], one_way=bool(one_way))

    async def _roll(self) -> None:
        self._rolling = True
        try:
            for host in self._world.hosts:
                host.stop(again_s=0.1)
                while host.stopped and not self._world.choices.calmed:
                    await self._world.sleep(0.1)
                await self._world.sleep(2.0)
        finally:
            self._rolling = False
