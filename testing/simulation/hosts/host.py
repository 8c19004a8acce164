"""One host of several: a machine on which one process after another is a host of the database.

The rule: a life that is over does nothing any more; the database and the network keep what it has sent.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from math import inf
from typing import Protocol

from ....actors.cluster.leased import LeasedMembership
from ....actors.cluster.leases.shared import SharedStore, Tell
from ....actors.cluster.protocol import WIRE_MAX, WIRE_MIN
from ....actors.instruments import Instruments
from ....actors.store.cluster import HostCard
from ....actors.store.contract import Store, Write
from ....runtime.authoring.app import App
from ....runtime.engine import Engine
from ....runtime.settings import Opening, OtherApp, Settings
from ..base import CUT_OFF_S
from ..choices import Choices
from ..knobs import Knobs
from ..life import Life, WorldMachine
from ..loop import SimHandle, SimLoop
from ..machines.clock import MachineClock
from ..machines.database.machine import SimDatabase
from ..machines.disk import SimDisk
from ..machines.network import SimNetwork, SimTransport
from ..machines.workshop import SimWorkshop
from ..trace import WorldTrace
from .store import LifeClusterStore

# How long a host has to live before the others give it shards.
NEWCOMER_S = 1.0
FIRST_PORT = 50_000


class WorldOfHosts(Protocol):
    """The part of a world that its hosts use; `world.py` has it."""

    loop: SimLoop
    choices: Choices
    trace: WorldTrace
    clock: MachineClock
    settings: Settings
    knobs: Knobs | None
    workshop: SimWorkshop
    database: SimDatabase
    network: SimNetwork
    machines: list[WorldMachine]
    shards: int
    kills: int
    lives: "dict[int, SharingLife]"

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass; seconds."""
        ...

    def tell(self, who: str, what: str) -> None:
        """Add a line to the story."""
        ...

    def is_over(self, life: int) -> bool:
        """Whether a life is over, so that no event reaches it any more."""
        ...

    def new_life(self) -> tuple[Life, Instruments]:
        """Begin a life, and make its readings of the machine."""
        ...

    def apps_of(self, host: int, life: Life) -> tuple[App, Sequence[OtherApp]]:
        """The first app of a life of a host, and those beside it."""
        ...

    def tell_up(self, life: Life, who: str) -> None:
        """Take note that a host takes requests."""
        ...

    def tell_end(self, life: Life, who: str, task: "asyncio.Task[None]") -> bool:
        """Take note that a host has ended by itself; return whether it is to be started again."""
        ...

    def restart_pause_s(self, failures: int) -> float:
        """Choose how long it takes until a host that has ended is started again; seconds."""
        ...

    def hold(self, life: Life, seconds: float, who: str) -> None:
        """Stop a life for a while, as SIGSTOP does."""
        ...

    def cut_calls(self, life: Life) -> None:
        """Report to all callers of a life that it has ended."""
        ...

    def kill_life(self, made: "SharingLife", why: str) -> None:
        """End a life as SIGKILL does."""
        ...

    def committed(self, made: "SharingLife", writes: Sequence[Write]) -> None:
        """Look at writes that the database has just committed."""
        ...

    def seen_committed(self, made: "SharingLife", writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        """Check a commit of one host against those of the others."""
        ...

    def seen_acknowledged(self, made: "SharingLife", writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        """Check a commit whose outcome its host knows."""
        ...


class SharingLife:
    """The parts of one life of a host.

    Attributes:
        apps: The ids of its apps.
    """

    def __init__(self, host: "SimHost", life: Life, instruments: Instruments) -> None:
        world = host.world
        self.life = life
        self.apps: Sequence[str] = ()
        self.transport: SimTransport = world.network.transport(f"{host.machine}:{FIRST_PORT + life.number}")
        self.store = LifeClusterStore(
            world.database,
            instruments,
            shards=world.shards,
            committed=partial(world.seen_committed, self),
            acknowledged=partial(world.seen_acknowledged, self),
            tell=partial(self._tell, host),
        )
        self.disk = SimDisk(
            world.choices, world.trace, kill=partial(world.kill_life, self), committed=partial(world.committed, self)
        )
        self.disk.inner = self.store
        self.membership = LeasedMembership(
            self.store,
            partial(self._card, host),
            gone=host.is_gone,
            newcomer_s=NEWCOMER_S,
        )
        self.ended: asyncio.Future[None] = world.loop.create_future()
        self._disturbed_until_s = -inf

    @property
    def disturbed_until_s(self) -> float:
        """The end of the last disturbance that others may take for its death; virtual seconds; -inf: there was none."""
        return max(self._disturbed_until_s, self.store.link.felt_until_s)

    def disturb(self, until_s: float) -> None:
        """Note a disturbance that others may take for the death of this life."""
        self._disturbed_until_s = max(self._disturbed_until_s, until_s)

    def _tell(self, host: "SimHost", what: str) -> None:
        world = host.world
        self.disturb(world.loop.time())
        world.tell("database", f"{what}, for {host.name}")

    def _card(self, host: "SimHost") -> HostCard:
        place = host.place_of(self.life)
        return HostCard(host.machine, self.transport.address, place, "0", WIRE_MIN, WIRE_MAX, apps=tuple(self.apps))

    def share(self, host: "SimHost", store: Store, tell: Tell) -> SharedStore:
        """Share the store, at the request of an engine."""
        self.membership._tell = tell
        return SharedStore(self.membership, self.transport, book=self.store)


class SimHost:
    """One host of a world.

    Attributes:
        now: The present life; None before the first, or after the host was told to stop.
        last: The newest life.
    """

    def __init__(self, world: "WorldOfHosts", number: int) -> None:
        self.world = world
        self.number = number
        self.machine = f"10.0.0.{number}"
        self.now: SharingLife | None = None
        self.last: SharingLife | None = None
        self._restart: SimHandle | None = None
        self._failures = 0  # lives in a row that have ended with an error of their own
        self._orders = 0  # to stop; only the last one decides when another process begins

    @property
    def name(self) -> str:
        """The host's name in the story."""
        return f"host {self.number}"

    @property
    def alive(self) -> bool:
        """Whether a process of it runs, even if it was told to stop."""
        return self.last is not None and not self.last.life.over

    @property
    def up(self) -> bool:
        """Whether it takes requests."""
        return self.last is not None and self.last.life.up

    @property
    def stopped(self) -> bool:
        """Whether no process should run, because the last one was told to stop."""
        return self.now is None

    def place_of(self, life: Life) -> str:
        """The place of a process, as its row has it."""
        return f"{self.machine}/{life.number}"

    def is_gone(self, place: str) -> bool:
        """Whether the process at a place was of this machine, and has ended."""
        machine, _, number = place.partition("/")
        return machine == self.machine and self.world.is_over(int(number))

    def start(self) -> None:
        """Begin the next life, unless the host is alive."""
        self._forget_restart()
        if self.alive:
            return
        world = self.world
        life, instruments = world.new_life()
        made = self.now = self.last = SharingLife(self, life, instruments)
        world.lives[life.number] = made
        app, others = world.apps_of(self.number, life)
        made.apps = (app.name, *(other.app_id for other in others))
        engine = Engine(
            app,
            data=made.disk,
            settings=world.settings,
            clock=world.clock,
            opening=Opening(
                instruments=instruments, workshop=world.workshop, share=partial(made.share, self), others=others
            ),
        )
        if world.knobs is not None:
            world.knobs.turn(engine)
        task = world.loop.create_task(self._live(life, engine), context=world.loop.in_life(life.number))
        task.add_done_callback(partial(self._left, made), context=world.loop.outside)

    async def _live(self, life: Life, engine: Engine) -> None:
        async with engine:
            life.engine = engine
            self.world.tell_up(life, self.name)
            self._cut_off("kill.recovering", "it recovers")
            await life.told
            self._cut_off("kill.stopping", "it leaves")

    def _cut_off(self, stream: str, why: str) -> None:
        """Let a stream choose a kill of this life a moment later."""
        world = self.world
        if (at := world.choices.fault(stream, len(CUT_OFF_S))) and self.last is not None:
            world.loop.call_later(CUT_OFF_S[at], world.kill_life, self.last, why, context=world.loop.outside)

    def kill(self, why: str) -> None:
        """End the process as `kill -9` does. Another one begins a moment later, unless it was told to stop."""
        made = self.last
        if made is None or made.life.over:
            return
        world = self.world
        world.kills += 1
        self._failures = 0
        world.loop.dead.add(made.life.number)
        world.trace.tell(world.loop.time(), self.name, f"killed: {why}", fault=True)
        self._ended(made)

    def stop(self, *, again_s: float | None = None) -> None:
        """Tell the process to stop, as SIGTERM does; another one begins `again_s` after its end; None: none does."""
        made, self.now = self.last, None
        self._orders += 1
        self._forget_restart()
        if made is None or made.life.over:
            return
        if not made.life.told.done():
            self.world.trace.tell(self.world.loop.time(), self.name, "is told to stop", fault=True)
            made.life.told.set_result(None)
        if again_s is not None:
            task = self.world.loop.create_task(
                self._start_after(made, again_s, self._orders), context=self.world.loop.outside.copy()
            )
            task.add_done_callback(_retrieved)

    async def _start_after(self, made: SharingLife, seconds: float, order: int) -> None:
        await made.ended
        await self.world.sleep(seconds)
        if order == self._orders:
            self.start()

    async def restart(self) -> None:
        """Stop in order, begin again, and return when it takes requests."""
        self.stop()
        while self.alive:
            await self.world.sleep(0.05)
        self.start()
        while not self.up:
            await self.world.sleep(0.05)

    def pause(self, seconds: float) -> None:
        """Stop the process for a while, as SIGSTOP does."""
        if self.last is not None and not self.last.life.over:
            self.last.disturb(self.world.loop.time() + seconds)
            self.world.hold(self.last.life, seconds, self.name)

    def cut_off(self, seconds: float, *, there: bool = True) -> None:
        """Let nothing through between this host and the database for a while; only nothing back unless `there`."""
        if self.last is not None:
            what = f"does not {'reach' if there else 'hear'} the database for {seconds} s"
            self.world.tell(self.name, what)
            self.last.disturb(self.world.loop.time() + seconds)
            self.last.store.link.silence(seconds, there=there)

    def _left(self, made: SharingLife, task: "asyncio.Task[None]") -> None:
        if not made.life.over:
            self._failures += self.world.tell_end(made.life, self.name, task)
            self._ended(made)

    def _ended(self, made: SharingLife) -> None:
        world = self.world
        made.life.over = True
        made.ended.set_result(None)
        made.store.abandon()
        world.network.kill(made.transport.address)
        for machine in world.machines:
            machine.life_ended(made.life.number)
        world.cut_calls(made.life)
        if self.now is made:  # its end was not requested
            pause_s = world.restart_pause_s(self._failures)
            self._restart = world.loop.call_later(pause_s, self.start, context=world.loop.outside)

    def _forget_restart(self) -> None:
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None


def _retrieved(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()
