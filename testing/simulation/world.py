"""A world: machines that outlive their hosts, hosts that are started and killed, and a story that happens to them.

The rule: the same choices give the same world, step by step and byte by byte, in any process.

    world = SimWorld(app, Choices(seed=7))
    world.run(story)           # story(world) awaits world.ask(...), world.sleep(...)

A host is an engine on the machine's disk. It is killed where the choices say so and started again a moment later. The
story's calls run in the host, as requests do, and die with it: `ask` repeats them until they are answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Self, TypeAlias, TypeVar

from ...actors.instruments import Instruments
from ...actors.store.memory import MemoryStore
from ...runtime.authoring.app import App
from ...runtime.engine import Engine
from ...runtime.settings import Opening, Settings
from .base import CUT_OFF_S, BaseWorld
from .choices import Choices
from .deploys import DeployMode
from .knobs import Knobs
from .life import Life, LifeStore
from .loop import SimHandle, Stuck
from .machines.disk import SimDisk
from .trace import WorldTrace
from .weather import Weather

T = TypeVar("T")

# Gives the store that a life opens, with the instruments of that life. Its rows outlive the life.
StoreOf: TypeAlias = Callable[["SimWorld", Instruments], LifeStore]

# How many shards a store in memory has; the first is its usual number.
SHARDS = (64, 1, 7)


class SimWorld(BaseWorld):
    """One machine, and a story.

    Args:
        apps, choices, deploy, settings, clock_is_set, lossy, trace: As for `BaseWorld`.
        store: Gives the store of each life; one in memory by default.

    Attributes:
        life: The life that answers; None: the story has stopped the host.
    """

    def __init__(
        self,
        apps: App | Sequence[App],
        choices: Choices | None = None,
        *,
        deploy: DeployMode = "forward",
        settings: Settings | Knobs | None = None,
        clock_is_set: bool = False,
        lossy: bool = False,
        store: StoreOf | None = None,
        trace: WorldTrace | None = None,
    ) -> None:
        super().__init__(
            apps, choices, deploy=deploy, settings=settings, clock_is_set=clock_is_set, lossy=lossy, trace=trace
        )
        self._store_of = store or _in_memory(SHARDS[self.choices.draw("world.shards", len(SHARDS))])
        self.disk = SimDisk(self.choices, self.trace, kill=self.kill, committed=self._committed)
        self._failures = 0  # lives in a row that have ended with an error of their own
        self.life: Life | None = None
        self._stopping: Life | None = None  # it was told to
        self._restart: SimHandle | None = None
        self._steering = asyncio.Lock()  # a stop and a restart at once would have two hosts on one disk

    # For the owner of the world.

    @property
    def contents(self) -> LifeStore:
        """The store of the present life, or of the last one."""
        return self.disk.inner

    @property
    def writer(self) -> int:
        return self.life.number if self.life is not None else 0

    def is_over(self, life: int) -> bool:
        return life != self.writer

    @property
    def failed(self) -> int:
        return self.disk.failed

    async def _run(self, story: Callable[[Self], Awaitable[T]]) -> T:
        self._start()
        weather = Weather(self)
        weather.begin()
        result = await story(self)
        weather.end()
        await self.stop()
        return result

    def _forget_engines(self) -> None:
        self.life = self._stopping = None

    # The story asks.

    def kill(self, why: str = "the story has") -> None:
        """End the host as `kill -9` does. It is started again a moment later. Does nothing if none is alive."""
        life = self.life or self._stopping
        if life is None or life.over:
            return
        self.kills += 1
        self._failures = 0
        self.loop.dead.add(life.number)
        self.trace.tell(self.loop.time(), f"host {life.number}", f"killed: {why}", fault=True)
        self._ended(life)

    async def stop(self) -> None:
        """Stop the host in order, and start none."""
        async with self._steering:
            await self._stop()

    async def restart(self) -> None:
        """Stop the host in order, and start the next."""
        async with self._steering:
            await self._stop()
            self._start()

    async def deploy(self, app: App) -> None:
        """Stop the host in order, and start the next with another app."""
        self.deploys.now = app
        await self.restart()

    def pause(self, seconds: float) -> None:
        """Stop the host for a while, as SIGSTOP does. After that, all delayed steps are due at once.

        A loop that is blocked for this time is the same, because an engine has no code beside its loop.
        """
        life = self.life
        if life is not None and not life.over:
            self.hold(life, seconds, f"host {life.number}")

    async def heal(self) -> None:
        """End all faults, and bring a host up."""
        self.choices.calmed = True
        await self._up()

    # Inside.

    def _start(self) -> None:
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        life, instruments = self.new_life()
        self.life = life
        self.disk.inner = self._store_of(self, instruments)
        app, others = self.apps_of(1, life)
        engine = Engine(
            app,
            data=self.disk,
            settings=self.settings,
            clock=self.clock,
            opening=Opening(instruments=instruments, workshop=self.workshop, others=others),
        )
        if self.knobs is not None:
            self.knobs.turn(engine)
        task = self.loop.create_task(self._live(life, engine), context=self.loop.in_life(life.number))
        task.add_done_callback(partial(self._left, life), context=self.loop.outside)

    async def _live(self, life: Life, engine: Engine) -> None:
        async with engine:
            life.engine = engine
            self.tell_up(life, f"host {life.number}")
            if life.number > 1:
                self._cut_off("kill.recovering", "it recovers")
            await life.told
            self._cut_off("kill.stopping", "it stops")

    def _cut_off(self, stream: str, why: str) -> None:
        """Let a stream choose a kill of this life a moment later."""
        if at := self.choices.fault(stream, len(CUT_OFF_S)):
            life = self.life or self._stopping
            self.loop.call_later(CUT_OFF_S[at], self._kill_one, life, why, context=self.loop.outside)

    def _kill_one(self, life: Life, why: str) -> None:
        if life is (self.life or self._stopping):
            self.kill(why)

    def _left(self, life: Life, task: "asyncio.Task[None]") -> None:
        if not life.over:
            self._failures += self.tell_end(life, f"host {life.number}", task)
            self._ended(life)

    def _ended(self, life: Life) -> None:
        life.over = True
        self.contents.abandon()
        for machine in self.machines:
            machine.life_ended(life.number)
        self.cut_calls(life)
        if self.life is life:  # its end was not requested
            pause_s = self.restart_pause_s(self._failures)
            self._restart = self.loop.call_later(pause_s, self._start, context=self.loop.outside)

    async def _stop(self) -> None:
        life = self.life or self._stopping
        self.life, self._stopping = None, life
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        if life is None:
            return
        if not life.told.done():
            life.told.set_result(None)
        while not life.over:
            await self.sleep(0.01)

    async def _up(self) -> Life:
        while True:
            life = self.life
            if life is None and not self._steering.locked():
                raise Stuck
            if life is not None and life.up:
                return life
            await self._next_arrival()


def _in_memory(shards: int) -> StoreOf:
    """One store in memory for all lives."""
    store = MemoryStore(shards=shards)
    return lambda world, instruments: store
